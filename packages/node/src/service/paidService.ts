import type { Clock, Logger } from '@opg/operator'
import { type InferenceRequest, type SignedVoucher, computeFee, responseHash } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import { EvidenceKeyMissingError, ReservationLostError } from '../errors.js'
import { createCloseRequests } from '../gate/closeRequest.js'
import { answering, createOrderGate } from '../gate/orderGate.js'
import type { GatePolicy } from '../gate/policy.js'
import { refuse } from '../gate/refusal.js'
import {
  createSignatureCheck,
  liveVerifierOf,
  type ReadRequest,
  readRequest,
  refusalByMeaning,
  refusalToStart,
  requestOf,
} from '../gate/requestGate.js'
import { checkVoucher } from '../gate/voucherGate.js'
import type { EvidenceSigner } from '../receipts/evidenceSigner.js'
import { signReceipt } from '../receipts/receipt.js'
import type { NodeStore, Reservation, ReserveOutcome, StoredAnswer, StoredOrder } from '../store/types.js'
import { runCall } from './runCall.js'
import type { PaidAnswer, PaidCall, PaidService, Refusal } from './types.js'

export interface PaidServiceOptions {
  readonly policy: GatePolicy
  readonly store: NodeStore
  readonly chain: EscrowReader
  readonly clock: Clock
  readonly logger: Logger
}

type Admitted =
  | {
      readonly status: 'admitted'
      readonly reservation: Reservation
      readonly request: InferenceRequest
      readonly order: StoredOrder
      readonly signer: EvidenceSigner
    }
  | { readonly status: 'replayed'; readonly answer: StoredAnswer }

/** One paid request from its header to its durable receipt (section 6 of docs/SPEC.md). */
export function createPaidService(options: PaidServiceOptions): PaidService {
  const { policy, store, chain, clock, logger } = options
  const gate = createOrderGate(options)
  const checkSignature = createSignatureCheck(options)

  async function admit(call: PaidCall): Promise<Admitted | Refusal> {
    const { authorized } = call
    const read = authorized === undefined ? readRequest(call.signedRequest) : requestOf(authorized)
    const { request, requestId } = read
    const order = await store.order(request.orderId)
    if (order === undefined) {
      return refuse('order-unknown', `Order ${request.orderId} is not known here. Send it to POST /v1/orders first.`)
    }
    const refusal =
      refusalByMeaning(policy, { call, request, order }) ??
      (authorized === undefined ? await checkSignature({ read, order }) : undefined)
    if (refusal !== undefined) return refusal

    // A stored answer is the requester's for good: after the request expired, and after the order closed.
    const stored = await storedFor(read)
    if (stored !== undefined) return stored

    const verifier = liveVerifierOf(policy, order)
    if ('status' in verifier) return verifier
    const { signer } = verifier
    if (signer === undefined) throw new EvidenceKeyMissingError(order.orderId)
    const current = await gate.current(order)
    // It may have been answered since, and its order closed by that.
    if ('status' in current) return (await storedFor(read)) ?? current
    const late = refusalToStart(policy, { call, request, order: current, clock })
    if (late !== undefined) return late

    let voucher: SignedVoucher | undefined
    if (verifier.takesVouchers) {
      const checked = checkVoucher(policy, { signedVoucher: call.signedVoucher, order, separator: chain.separator })
      if ('status' in checked) return checked
      voucher = checked
    }

    const { orderId, index, maxFee } = request
    const outcome = await store.reserve({ orderId, index, requestId, maxFee, voucher })
    if (outcome.status === 'answered') return { status: 'replayed', answer: outcome.answer }
    if (outcome.status !== 'reserved') return refusalOf(outcome, request)
    return { status: 'admitted', reservation: outcome.reservation, request, order: current, signer }
  }

  async function storedFor({ request, requestId }: ReadRequest): Promise<Admitted | Refusal | undefined> {
    const answer = await store.answer(request.orderId, request.index)
    if (answer === undefined) return undefined
    return answer.requestId === requestId ? { status: 'replayed', answer } : conflict(request)
  }

  async function bill(
    call: PaidCall,
    { reservation, request, order, signer }: Extract<Admitted, { status: 'admitted' }>,
  ): Promise<PaidAnswer> {
    const ran = await runCall(call)
    if (ran.status === 'failed') {
      await store.abandon(reservation)
      logger.warn({ orderId: order.orderId, requestId: reservation.requestId }, 'the work failed; nothing is billed')
      return {
        status: 'failed',
        detail: 'The work failed, and nothing is billed. Send the request again.',
        cause: ran.cause,
      }
    }
    const { body, computed } = ran
    const fee = computeFee(call.prices, { ...computed.usage, maxFee: request.maxFee })
    const answer = await store.commit(reservation, {
      fee,
      body,
      contentType: computed.contentType,
      sign: ({ seq, cumulativeFee }) =>
        signReceipt(signer, {
          separator: chain.separator,
          receipt: {
            orderId: order.orderId,
            node: policy.node,
            seq,
            requestId: reservation.requestId,
            responseHash: responseHash(body),
            fee,
            cumulativeFee,
            timestamp: Math.floor(clock() / 1000),
          },
        }),
    })
    return { status: 'served', body, contentType: answer.contentType, signedReceipt: answer.signedReceipt }
  }

  async function serve(call: PaidCall): Promise<PaidAnswer> {
    const admitted = await answering('admitting a request', logger, () => admit(call))
    if (admitted.status === 'refused') return admitted
    if (admitted.status === 'replayed') {
      const { body, contentType, signedReceipt } = admitted.answer
      return { status: 'replayed', body, contentType, signedReceipt }
    }
    try {
      return await bill(call, admitted)
    } catch (error) {
      if (error instanceof ReservationLostError) {
        return { status: 'failed', detail: error.message, cause: error }
      }
      // Not to hold the order's money for work that will never be billed. Should this fail too, the lease ends it.
      await store.abandon(admitted.reservation).catch(() => undefined)
      throw error
    }
  }

  return { admitOrder: (input) => gate.admit(input), serve, requestClose: createCloseRequests(options) }
}

function conflict({ orderId, index }: InferenceRequest): Refusal {
  return refuse(
    'index-conflict',
    `Another request has index ${index.toString()} of order ${orderId}. Take a new index.`,
  )
}

function refusalOf(
  outcome: Exclude<ReserveOutcome, { readonly status: 'reserved' | 'answered' }>,
  request: InferenceRequest,
): Refusal {
  const { orderId, index, maxFee } = request
  switch (outcome.status) {
    case 'conflict':
      return conflict(request)
    case 'in-progress':
      return refuse('in-progress', `Request ${index.toString()} of order ${orderId} is running. Ask again soon.`)
    case 'exhausted':
      return refuse(
        'order-exhausted',
        `Order ${orderId} holds ${outcome.free.toString()} free base units, and this request may cost ${maxFee.toString()}. Open a new order or lower maxFee.`,
      )
    case 'voucher-too-low':
      return refuse(
        'voucher-too-low',
        `A voucher for order ${orderId} must allow a total of ${outcome.needed.toString()} base units for this request. Sign a new one.`,
      )
    case 'closing':
      return refuse('order-closing', `Order ${orderId} is being closed (${outcome.reason}). Open a new order.`)
    case 'not-open':
      return refuse('order-not-open', `Order ${orderId} is not open on chain. Open a new order.`)
    case 'unknown':
      return refuse('order-unknown', `Order ${orderId} is not known here. Send it to POST /v1/orders first.`)
  }
}
