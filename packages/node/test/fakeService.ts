import { ZERO_BYTES32, computeFee, responseHash, type SignedReceipt } from '@opg/protocol'
import type { PaidAnswer, PaidCall, PaidService, Refusal } from '../src/service/types.js'

export const ORDER_ID = `0x${'ab'.repeat(32)}` as const
export const NODE = '0x90F79bf6EB2c4f870365E785982E1f101E93b906'

/** A stand-in for the payment core, which the tests of the HTTP layer steer: it runs the work and signs nothing. */
export interface FakeService extends PaidService {
  readonly calls: PaidCall[]
  /** What the next calls are answered by, instead of running them. */
  answer: PaidAnswer | Refusal | Error | undefined
}

export function fakeService(): FakeService {
  const calls: PaidCall[] = []
  const service: FakeService = {
    calls,
    answer: undefined,
    admitOrder: () =>
      Promise.resolve(fixed(service) ?? { status: 'admitted', orderId: ORDER_ID, amount: 10n, held: 10n, claimBy: 99 }),
    requestClose: () => Promise.resolve(fixed(service) ?? { status: 'closing', orderId: ORDER_ID }),
    serve: async (call) => {
      calls.push(call)
      if (service.answer instanceof Error) throw service.answer
      return service.answer ?? (await compute(call))
    },
  }
  return service
}

export function refusal(reason: Refusal['reason'], httpStatus: number): Refusal {
  return { status: 'refused', reason, detail: `refused: ${reason}`, httpStatus }
}

export function receiptOf(body: Uint8Array, fee: bigint): SignedReceipt {
  return {
    receipt: {
      orderId: ORDER_ID,
      node: NODE,
      seq: 0n,
      requestId: ZERO_BYTES32,
      responseHash: responseHash(body),
      fee,
      cumulativeFee: fee,
      timestamp: 1,
    },
    signature: `0x${'01'.repeat(65)}`,
    signer: { kind: 'ecdsa' },
  }
}

function fixed(service: FakeService): Refusal | undefined {
  if (service.answer instanceof Error) throw service.answer
  return service.answer?.status === 'refused' ? service.answer : undefined
}

async function compute(call: PaidCall): Promise<PaidAnswer> {
  const chunks: Uint8Array[] = []
  const gone = new AbortController()
  call.signal.addEventListener('abort', () => {
    gone.abort()
  })
  const emit = async (chunk: Uint8Array): Promise<void> => {
    if (gone.signal.aborted) return
    try {
      await call.onChunk?.(chunk)
      chunks.push(chunk)
    } catch {
      gone.abort()
    }
  }
  try {
    const { usage, contentType } = await call.run({ signal: gone.signal, emit })
    const body = Buffer.concat(chunks)
    const fee = computeFee(call.prices, { ...usage, maxFee: call.maxFeeNeeded })
    return { status: 'served', body, contentType, signedReceipt: receiptOf(body, fee) }
  } catch (cause) {
    return { status: 'failed', detail: 'failed', cause }
  }
}
