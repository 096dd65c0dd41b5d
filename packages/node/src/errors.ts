import type { Hex } from '@opg/protocol'

/** The chain could not be asked, or did not answer as a chain does: try again. Never says anything of an order (N6). */
export class ChainUnavailableError extends Error {
  readonly code = 'CHAIN_UNAVAILABLE'
  readonly operation: string

  constructor(operation: string, { cause }: { readonly cause?: unknown } = {}) {
    super(`The chain did not answer ${operation}. Nothing was concluded from it; try again.`, {
      cause: withoutUrl(cause),
    })
    this.name = 'ChainUnavailableError'
    this.operation = operation
  }
}

/** The RPC speaks for another chain, or another contract, than this node was set up for. */
export class WrongChainError extends Error {
  readonly code = 'WRONG_CHAIN'
  readonly expected: string
  readonly found: string

  constructor(what: string, { expected, found }: { readonly expected: string; readonly found: string }) {
    super(`${what} must be ${expected}, but it is ${found}. Check the RPC URL, the addresses and the database's path.`)
    this.name = 'WrongChainError'
    this.expected = expected
    this.found = found
  }
}

/** The database failed: full, locked for longer than the timeout, or damaged. */
export class StoreError extends Error {
  readonly code = 'STORE_FAILED'
  readonly operation: string

  constructor(operation: string, options?: { readonly cause?: unknown }) {
    super(`The database failed at ${operation}. Check its disk and permissions.`, options)
    this.name = 'StoreError'
    this.operation = operation
  }
}

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

/** Another process settles with this key now. */
export class LaneLostError extends Error {
  readonly code = 'LANE_LOST'

  constructor() {
    super('Another process holds the lane of this key. Nothing was written; its work goes on there.')
    this.name = 'LaneLostError'
  }
}

/** A key cannot be used. The message never shows any of it (N8). */
export class KeyUnusableError extends Error {
  readonly code = 'KEY_UNUSABLE'

  constructor(what: string, expected: string) {
    super(`${what} must be ${expected}.`)
    this.name = 'KeyUnusableError'
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

/** What an RPC's failure says, less its URL: providers put their customers' keys into it (N8). */
function withoutUrl(cause: unknown): { readonly code: string; readonly message: string } {
  const { code, shortMessage } = Object(cause) as { readonly code?: unknown; readonly shortMessage?: unknown }
  return {
    code: typeof code === 'string' ? code : 'UNKNOWN',
    message: typeof shortMessage === 'string' ? shortMessage : 'no further details',
  }
}
