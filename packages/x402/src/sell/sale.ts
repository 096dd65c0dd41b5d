import {
  InvalidInputError,
  orderId,
  parseBaseUnits,
  parseUptoPayment,
  uptoOrder,
  type Hex,
  type LockStep,
  type Order,
} from '@opg/protocol'
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import type { Offered } from './offered.js'

/** An order that a payment would open, as read from it alone. */
export interface Bid {
  readonly orderId: Hex
  readonly order: Order
  /** As the client sent it. */
  readonly payment: PaymentPayload
  /** As they were published: their amount is the cap. */
  readonly requirements: PaymentRequirements
}

/** An order that is locked for one request. */
export interface Sale extends Bid {
  readonly lock: LockStep
}

export type ReadBid =
  | { readonly status: 'read'; readonly bid: Bid }
  | { readonly status: 'refused'; readonly reason: string; readonly message: string }

/** Reads a payment under an offer. What else the client put into it, a seller's step above all, makes it invalid. */
export function readBid(
  { offer, seed }: Offered,
  { payment, requirements }: { readonly payment: PaymentPayload; readonly requirements: PaymentRequirements },
): ReadBid {
  try {
    const { authorization } = parseUptoPayment(payment.payload)
    const cap = parseBaseUnits(requirements.amount)
    if (authorization.amount !== cap) {
      const message = `The authorization must be over ${cap.toString()}, and it is over ${authorization.amount.toString()}.`
      return { status: 'refused', reason: 'permit2_amount_mismatch', message }
    }
    const order = uptoOrder(offer, authorization)
    return {
      status: 'read',
      bid: { orderId: orderId({ seed, terms: offer.terms, order }), order, payment, requirements },
    }
  } catch (error) {
    if (error instanceof InvalidInputError) {
      return { status: 'refused', reason: 'invalid_payload', message: error.message }
    }
    throw error
  }
}
