import { formatOpg } from '@opg/protocol'

const MAX_TEXT = 200

/** A limit of the spender's own would be passed. Nothing was signed. */
export class SpendLimitError extends Error {
  readonly code = 'SPEND_LIMIT'
  readonly limit: 'request' | 'day' | 'host' | 'session'
  /** Base units that the limit leaves. */
  readonly left: bigint
  /** Base units that were to be signed away. */
  readonly needed: bigint

  constructor(input: {
    readonly limit: 'request' | 'day' | 'host' | 'session'
    readonly host: string
    readonly left: bigint
    readonly needed: bigint
  }) {
    const { limit, host, left, needed } = input
    const option = { request: 'maxPerRequest', day: 'maxPerDay', host: 'maxPerHost', session: 'sessionAmount' }[limit]
    super(
      `${host} asks for ${formatOpg(needed)} OPG, and ${option} leaves ${formatOpg(left)}. Nothing was signed. Raise the limit, ask for less, or wait: what is signed away counts for 24 hours, or until the chain shows that it came back.`,
    )
    this.name = 'SpendLimitError'
    this.limit = limit
    this.left = left
    this.needed = needed
  }
}

/** An offer is not one that the spender can trust. Nothing was signed. */
export class OfferRefusedError extends Error {
  readonly code = 'OFFER_REFUSED'
  readonly field: string
  readonly expected: string
  readonly found: string

  constructor(input: {
    readonly field: string
    readonly expected: string
    readonly found: string
    readonly cause?: unknown
  }) {
    const found = shorten(input.found)
    super(
      `The offer's ${input.field} must be ${input.expected}, but it is ${found}. Nothing was signed; do not pay this seller unless you know why.`,
      { cause: input.cause },
    )
    this.name = 'OfferRefusedError'
    this.field = input.field
    this.expected = input.expected
    this.found = found
  }
}

/** The work-order scheme was asked to pay for a request that it does not know. Nothing was signed. */
export class RequestUnknownError extends Error {
  readonly code = 'REQUEST_UNKNOWN'

  constructor() {
    super(
      'The work-order scheme signs path and body of each request, which x402 does not hand to schemes. Use payFetch, or wrap the paying fetch: withRequest(wrapFetchWithPayment(fetch, client)).',
    )
    this.name = 'RequestUnknownError'
  }
}

/** The payer's account cannot pay as it stands. Nothing was signed. */
export class FundsMissingError extends Error {
  readonly code = 'FUNDS_MISSING'
  readonly missing: 'balance' | 'allowance'

  constructor(input: {
    readonly missing: 'balance' | 'allowance'
    readonly payer: string
    readonly has: bigint
    readonly needed: bigint
  }) {
    const { missing, payer, has, needed } = input
    super(
      missing === 'balance'
        ? `${payer} has ${formatOpg(has)} OPG, and ${formatOpg(needed)} are to be locked. Fund the account, or lower sessionAmount.`
        : `${payer} lets Permit2 take ${formatOpg(has)} OPG, and ${formatOpg(needed)} are to be locked. Approve it once (approvePermit2 of @opg/payer), or set approve: true.`,
    )
    this.name = 'FundsMissingError'
    this.missing = missing
  }
}

/** The escrow did not open an order. It was signed, and counts until it cannot be opened any more. */
export class OrderNotOpenedError extends Error {
  readonly code = 'ORDER_NOT_OPENED'

  constructor(input: { readonly host: string; readonly detail: string }) {
    super(
      `The order for ${input.host} could not be opened: ${shorten(input.detail)}. Check the payer's OPG, its approval of Permit2 and its gas.`,
    )
    this.name = 'OrderNotOpenedError'
  }
}

/** Other calls used up new orders as fast as this one made them. Nothing was signed for its request. */
export class OrdersUsedUpError extends Error {
  readonly code = 'ORDERS_USED_UP'

  constructor(input: { readonly host: string; readonly orders: number }) {
    super(
      `${input.orders.toString()} new orders for ${input.host} were used up by other calls. Send the request again, or raise sessionAmount.`,
    )
    this.name = 'OrdersUsedUpError'
  }
}

/** The seller did not take the payment. What it was sent cannot be used for anything else. */
export class PaymentRefusedError extends Error {
  readonly code = 'PAYMENT_REFUSED'
  readonly host: string
  /** The seller's own word. */
  readonly reason: string

  constructor(input: { readonly host: string; readonly reason: string }) {
    const reason = shorten(input.reason)
    super(
      `${input.host} refused the payment: ${reason}. It is not paid again by itself. If the offer changed meanwhile, send the request again.`,
    )
    this.name = 'PaymentRefusedError'
    this.host = input.host
    this.reason = reason
  }
}

/** A payment was sent, and no answer came back. It may have been charged, once, and counts as spent. */
export class PaymentUncertainError extends Error {
  readonly code = 'PAYMENT_UNCERTAIN'
  readonly host: string

  constructor(input: { readonly host: string; readonly attempts: number; readonly cause: unknown }) {
    super(
      `${input.host} gave no answer to a paid request in ${input.attempts.toString()} attempts: ${reasonOf(input.cause)}. It may have been charged, once. The same call, made again within ten minutes, sends the same payment again.`,
      { cause: input.cause },
    )
    this.name = 'PaymentUncertainError'
    this.host = input.host
  }
}

/** The seller answered with something that a paid answer must not be. */
export class AnswerRefusedError extends Error {
  readonly code = 'ANSWER_REFUSED'
  readonly field: string

  constructor(input: {
    readonly host: string
    readonly field: string
    readonly expected: string
    readonly found: string
    readonly cause?: unknown
  }) {
    super(
      `${input.host}'s answer is not to be relied on: ${input.field} must be ${input.expected}, but it is ${shorten(input.found)}. It may have been charged, once. Stop using this seller if it happens again.`,
      { cause: input.cause },
    )
    this.name = 'AnswerRefusedError'
    this.field = input.field
  }
}

/** `close` was called before. */
export class ClosedError extends Error {
  readonly code = 'CLOSED'

  constructor() {
    super('This paying fetch was closed, and with it its books. Reclaim before closing, or make another payFetch.')
    this.name = 'ClosedError'
  }
}

/** The host was caught at fraud before. Nothing was sent. */
export class HostBlockedError extends Error {
  readonly code = 'HOST_BLOCKED'
  readonly host: string

  constructor(input: { readonly host: string; readonly reason: string }) {
    super(
      `${input.host} is not paid any more: ${shorten(input.reason)}. Its receipts are kept as proof; the rest of its orders can be reclaimed once they expire.`,
    )
    this.name = 'HostBlockedError'
    this.host = input.host
  }
}

/** A message for people out of whatever was thrown, on one line. */
export function reasonOf(cause: unknown): string {
  if (!(cause instanceof Error)) return shorten(String(cause))
  const inner = cause.cause instanceof Error ? ` (${cause.cause.message})` : ''
  return shorten(`${cause.message}${inner}`)
}

/** At most 200 characters of a text from outside, without control characters. */
export function shorten(text: string): string {
  const line = text.slice(0, MAX_TEXT + 1).replace(/\p{Cc}/gu, ' ')
  return line.length <= MAX_TEXT ? line : `${line.slice(0, MAX_TEXT - 3)}...`
}
