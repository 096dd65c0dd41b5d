import type { Hex } from '@opg/protocol'

/** The reservation has gone: its process was taken for dead, or it was consumed already. Nothing is billed (F12). */
export class ReservationLostError extends Error {
  readonly code = 'RESERVATION_LOST'
  readonly orderId: Hex
  readonly index: bigint

  constructor({ orderId, index }: { readonly orderId: Hex; readonly index: bigint }) {
    super(`Request ${index.toString()} of order ${orderId} holds no reservation any more. Send the request again.`)
    this.name = 'ReservationLostError'
    this.orderId = orderId
    this.index = index
  }
}

/** A fee is over what was reserved for it. */
export class FeeOverReservationError extends Error {
  readonly code = 'FEE_OVER_RESERVATION'
  readonly fee: bigint
  readonly maxFee: bigint

  constructor({ fee, maxFee }: { readonly fee: bigint; readonly maxFee: bigint }) {
    super(`A fee of ${fee.toString()} is over the ${maxFee.toString()} base units that were reserved for it.`)
    this.name = 'FeeOverReservationError'
    this.fee = fee
    this.maxFee = maxFee
  }
}

/** An answer came, and no gateway's receipt with it that would settle the order. Nothing is billed. */
export class AnswerUnprovedError extends Error {
  readonly code = 'ANSWER_UNPROVED'
  readonly orderId: Hex

  constructor({ orderId, why }: { readonly orderId: Hex; readonly why: string }) {
    super(`The gateway's answer does not prove this request. ${why} Order ${orderId} is given back to its payer.`)
    this.name = 'AnswerUnprovedError'
    this.orderId = orderId
  }
}

/** The node cannot do what was asked with this order. */
export class OrderNotReleasableError extends Error {
  readonly code = 'ORDER_NOT_RELEASABLE'
  readonly orderId: Hex

  constructor(orderId: Hex, why: string) {
    super(`Order ${orderId} was not released: ${why}`)
    this.name = 'OrderNotReleasableError'
    this.orderId = orderId
  }
}

/** The node has no key any more for the evidence that an order asks for. */
export class EvidenceKeyMissingError extends Error {
  readonly code = 'EVIDENCE_KEY_MISSING'
  readonly orderId: Hex

  constructor(orderId: Hex) {
    super(`No configured verifier and key fit order ${orderId}. Put back the key that it was admitted with.`)
    this.name = 'EvidenceKeyMissingError'
    this.orderId = orderId
  }
}
