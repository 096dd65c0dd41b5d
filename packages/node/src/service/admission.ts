import type { Clock } from '@opg/operator'
import type { InferenceRequest, SignedVoucher } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import { EvidenceKeyMissingError } from '../errors.js'
import { type GatewayWork, admitToGateway } from '../gate/gatewayGate.js'
import type { OrderGate } from '../gate/orderGate.js'
import type { GatePolicy } from '../gate/policy.js'
import { refuse } from '../gate/refusal.js'
import {
  createSignatureCheck,
  identified,
  liveVerifierOf,
  readRequest,
  refusalByMeaning,
  refusalToStart,
  requestOf,
  type ReadRequest,
} from '../gate/requestGate.js'
import { checkVoucher } from '../gate/voucherGate.js'
import type { EvidenceSigner } from '../receipts/evidenceSigner.js'
import type { NodeStore, Reservation, ReserveOutcome, StoredAnswer, StoredOrder } from '../store/types.js'
import type { PaidCall, Refusal } from './types.js'

/** A request that may run: what it may cost is reserved. */
export interface AdmittedRequest {
  readonly status: 'admitted'
  readonly reservation: Reservation
  readonly request: InferenceRequest
  readonly order: StoredOrder
  readonly signer: EvidenceSigner
  /** Set: how the work is done, and must be proved, instead. */
  readonly gateway: GatewayWork | undefined
}

/** A request that was answered before. */
export interface Replay {
  readonly status: 'replayed'
  readonly answer: StoredAnswer
}

/** Lets requests in, from their header to their durable reservation. */
export interface Admission {
  /** @throws {InvalidInputError} {@link ChainUnavailableError} */
  admit(call: PaidCall): Promise<AdmittedRequest | Replay | Refusal>
}

export interface AdmissionOptions {
  readonly policy: GatePolicy
  readonly gate: OrderGate
  readonly store: NodeStore
  readonly chain: EscrowReader
  readonly clock: Clock
}

export function createAdmission(options: AdmissionOptions): Admission {
  const { policy, gate, store, chain, clock } = options
  const checkSignature = createSignatureCheck(options)

  async function storedFor({ request, requestId }: ReadRequest): Promise<Replay | Refusal | undefined> {
    const answer = await store.answer(request.orderId, request.index)
    if (answer === undefined) return undefined
    return answer.requestId === requestId ? { status: 'replayed', answer } : conflict(request)
  }

  /** Everything but who signed it. */
  async function reserve(
    call: PaidCall,
    { read, order }: { readonly read: ReadRequest; readonly order: StoredOrder },
  ): Promise<AdmittedRequest | Replay | Refusal> {
    const { request, requestId } = read
    const verifier = liveVerifierOf(policy, order)
    if ('status' in verifier) return verifier
    const { signer } = verifier
    if (signer === undefined) throw new EvidenceKeyMissingError(order.orderId)
    const current = await gate.current(order)
    if ('status' in current) return current
    const late = refusalToStart(policy, { call, request, order: current, clock })
    if (late !== undefined) return late

    let voucher: SignedVoucher | undefined
    if (verifier.takesVouchers) {
      const checked = checkVoucher(policy, { signedVoucher: call.signedVoucher, order, separator: chain.separator })
      if ('status' in checked) return checked
      voucher = checked
    }

    const key = verifier.gateway
    const gateway =
      key === undefined ? undefined : await admitToGateway({ call, request, order: current, key, chain, clock })
    if (gateway !== undefined && 'status' in gateway) return gateway

    const { orderId, index, maxFee } = request
    const outcome = await store.reserve({ orderId, index, requestId, maxFee, voucher })
    if (outcome.status === 'answered') return { status: 'replayed', answer: outcome.answer }
    if (outcome.status !== 'reserved') return refusalOf(outcome, request)
    return { status: 'admitted', reservation: outcome.reservation, request, order: current, signer, gateway }
  }

  return {
    admit: async (call) => {
      const { authorized, known } = call
      const read =
        authorized !== undefined
          ? requestOf(authorized)
          : known === undefined
            ? readRequest(call.signedRequest)
            : identified(known.signedRequest)
      const { request } = read
      const order = known?.order ?? (await store.recentOrder(request.orderId))
      if (order === undefined) {
        return refuse('order-unknown', `Order ${request.orderId} is not known here. Send it to POST /v1/orders first.`)
      }
      const refusal =
        refusalByMeaning(policy, { call, request, order }) ??
        (authorized === undefined ? await checkSignature({ read, order }) : undefined)
      if (refusal !== undefined) return refusal

      // A stored answer is the requester's for good: after the request expired, after the order closed, without a voucher
      // and without the key. Where nothing of that stands against the request, the reservation finds it.
      const verifier = liveVerifierOf(policy, order)
      const isReady =
        !('status' in verifier) &&
        verifier.signer !== undefined &&
        !verifier.takesVouchers &&
        verifier.gateway === undefined &&
        gate.isCurrent(order) &&
        refusalToStart(policy, { call, request, order, clock }) === undefined
      const stored = isReady ? undefined : await storedFor(read)
      if (stored !== undefined) return stored
      const outcome = await reserve(call, { read, order })
      // It may have been answered since, and its order closed by that.
      return outcome.status === 'refused' ? ((await storedFor(read)) ?? outcome) : outcome
    },
  }
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
