import type { PaymentRequirements } from '@x402/core/types'
import type { Clock } from '@opg/operator'
import {
  UPTO_PROXY,
  orderId,
  parseUptoPayment,
  requestHash,
  requestId,
  uptoDigest,
  uptoOrder,
  type Hex,
  type InferenceRequest,
  type UptoAuthorization,
} from '@opg/protocol'
import type { NewPayment, PaymentStore, StoredPayment } from '../store/paymentTypes.js'
import type { AccountSignature } from '../gate/accountSignature.js'
import type { Locking } from './locking.js'
import { PAYMENT_HEADER, type ReadPayment } from './paymentHeader.js'
import { mismatch, refusePayment } from './refusal.js'
import { MAX_TIMEOUT_SECONDS, uptoOffer, uptoRequirements, type Selling } from './requirements.js'
import { respond } from './response.js'
import type { Acceptance, PaymentRefusal, Sale } from './types.js'

/** How far a client's clock may be ahead, in seconds. */
const MAX_SKEW_SECONDS = 60

export interface UptoDependencies {
  readonly selling: Selling
  readonly seed: Hex
  readonly locking: Locking
  readonly store: PaymentStore
  readonly chainId: bigint
  /** As Permit2 would take it. */
  readonly isSignedBy: AccountSignature
  /** How long an answer is given again, in milliseconds from its end on. */
  readonly replayMs: number
  readonly clock: Clock
}

/** A stock `upto` payment: one authorization, one order, one request. */
export async function acceptUpto(
  dependencies: UptoDependencies,
  input: { readonly payment: ReadPayment; readonly sale: Sale; readonly signal: AbortSignal },
): Promise<Acceptance> {
  const { selling, seed, chainId, isSignedBy, locking, store } = dependencies
  const { payment, sale, signal } = input
  const { authorization, signature } = parseUptoPayment(payment.payload, `${PAYMENT_HEADER}.payload`)
  const requirements = uptoRequirements(selling, sale)
  const sold = uptoOffer(selling, sale.modelId)
  if (requirements === undefined || sold === undefined) {
    return mismatch('This node takes no upto payments.', 'unsupported_scheme')
  }
  const wrong = refusalByAuthorization(authorization, requirements, sold.desk)
  if (wrong !== undefined) return wrong
  // Orders and their members are public: only the payer's signature says that the payment is for this request.
  if (!(await isSignedBy(authorization.from, { digest: uptoDigest(chainId, authorization), signature }))) {
    return mismatch(`The authorization must be signed by ${authorization.from}.`, 'invalid_permit2_signature')
  }

  const { terms } = sold.offer
  const order = uptoOrder(sold.offer, authorization)
  const id = orderId({ seed, terms, order })
  // What a requester would sign: the payment stands for the signature, as its order pays for nothing else.
  const request: InferenceRequest = {
    orderId: id,
    node: terms.node,
    index: 0n,
    requestHash: requestHash(sale.path, sale.body),
    maxFee: authorization.amount,
    expiresAt: Number(authorization.deadline),
  }
  const wanted = {
    orderId: id,
    terms,
    order,
    requestId: requestId(request),
    deadline: Number(authorization.deadline),
  }
  const bound = await bind(dependencies, wanted, authorization)
  if ('code' in bound) return bound
  let { transaction } = bound
  if (bound.state === 'locking') {
    const { payload, extensions } = payment
    const asked = { accepted: requirements, payload, ...(extensions === undefined ? {} : { extensions }) }
    const locked = await locking.lock({ orderId: id, terms, order, payment: asked, signed: payload }, signal)
    if (locked.status === 'refused') {
      // Nothing is locked: it is as if the payment had not come. What is locked for others is not for this node to end;
      // what is locked for it, and not taken by the gate, is, once the authorization is over.
      if (locked.code === 'PAYMENT_ALREADY_USED') await store.dropPayment(id)
      else if (locked.code === 'LOCK_REFUSED') await store.forgetPayment(id)
      return locked
    }
    transaction = locked.transaction
    await store.confirmPayment(bound, transaction)
  }
  return {
    status: 'accepted',
    orderId: id,
    call: { signedRequest: undefined, authorized: request },
    finish: async (answer) => {
      if (answer.status === 'failed') await store.endPayment(id, 'failed')
      if (answer.status === 'served' || answer.status === 'replayed') await store.endPayment(id, 'answered')
    },
    response: (answer) =>
      respond({ orderId: id, payer: order.payer, transaction, network: requirements.network, isClosed: true }, answer),
  }
}

/**
 * The payment in the books: the first request that it came with is the one that it pays for. Whoever guesses at that
 * request learns nothing once its answer is not given any more.
 */
async function bind(
  { store, clock, replayMs }: UptoDependencies,
  wanted: NewPayment,
  authorization: UptoAuthorization,
): Promise<StoredPayment | PaymentRefusal> {
  const known = await store.payment(wanted.orderId)
  const untimely = known === undefined ? refusalByTime(authorization, BigInt(Math.floor(clock() / 1000))) : undefined
  if (untimely !== undefined) return untimely
  const bound = known === undefined || known.state === 'locking' ? await store.notePayment(wanted) : known
  const { requestId, state, endedAtMs = Infinity } = bound
  const isOver = state === 'spent' || endedAtMs + replayMs <= clock()
  return requestId === wanted.requestId && !isOver ? bound : usedBefore()
}

function usedBefore(): PaymentRefusal {
  const message =
    'This payment came with another request before, or its answer is no longer kept. It pays for that request only. Pay for this one by itself.'
  return refusePayment('PAYMENT_ALREADY_USED', message, { httpStatus: 409, reason: 'payment_already_used' })
}

function refusalByTime({ deadline, validAfter }: UptoAuthorization, now: bigint): PaymentRefusal | undefined {
  if (deadline <= now) return mismatch('The authorization is over.', 'permit2_deadline_expired')
  if (deadline > now + BigInt(MAX_TIMEOUT_SECONDS + MAX_SKEW_SECONDS)) {
    return mismatch(`The authorization must end within ${String(MAX_TIMEOUT_SECONDS)} seconds.`, 'deadline_too_far')
  }
  return validAfter > now ? mismatch('The authorization is not good yet.', 'permit2_not_yet_valid') : undefined
}

function refusalByAuthorization(
  authorization: UptoAuthorization,
  { asset, amount, payTo }: PaymentRequirements,
  desk: string,
): PaymentRefusal | undefined {
  const { token, amount: cap, spender, to, facilitator } = authorization
  if (token !== asset) return mismatch(`The token must be ${asset}.`, 'permit2_token_mismatch')
  if (cap.toString() !== amount) return mismatch(`The amount must be ${amount}.`, 'permit2_amount_mismatch')
  if (spender !== UPTO_PROXY) return mismatch(`The spender must be ${UPTO_PROXY}.`, 'invalid_permit2_spender')
  if (to !== payTo) return mismatch(`The recipient must be ${payTo}.`, 'invalid_permit2_recipient_mismatch')
  if (facilitator !== desk) return mismatch(`The facilitator must be ${desk}.`, 'upto_facilitator_mismatch')
  return undefined
}
