import { createHash } from 'node:crypto'
import type { Payment } from './requestContext.js'

/** A payment as it was sent. */
export interface Sent {
  /** Its headers. */
  readonly headers: Record<string, string>
  readonly payment: Payment
}

/** So long sellers keep answers for whoever lost them, and so many are remembered here. */
const KEPT_MS = 600_000
const MAX_KEPT = 1_000
/** Headers in which the tries of one call differ. */
const OF_A_TRY = /^(x-stainless-retry-count|amz-sdk-request|traceparent|tracestate|baggage|sentry-trace|x-request-id)$/

/**
 * Payments that were sent and got no answer, by what they pay for. Whoever makes the same call again, or has a client that
 * does so by itself, sends the same payment again, and is charged once.
 */
export class Unanswered {
  #sent: { readonly key: string; readonly sent: Sent }[] = []
  /** Milliseconds; counted from the first time, or a seller that never answers would keep a call from being paid anew. */
  readonly #until = new WeakMap<Sent, number>()

  constructor(private readonly clock: () => number) {}

  keep(key: string, sent: Sent): void {
    if (!this.#until.has(sent)) this.#until.set(sent, this.clock() + KEPT_MS)
    this.#sent.push({ key, sent })
    if (this.#sent.length > MAX_KEPT) this.#sent.shift()
  }

  /** The oldest for a call, which is then this caller's. */
  take(key: string): Sent | undefined {
    const now = this.clock()
    this.#sent = this.#sent.filter(({ sent }) => (this.#until.get(sent) ?? 0) > now)
    const at = this.#sent.findIndex((entry) => entry.key === key)
    return at < 0 ? undefined : this.#sent.splice(at, 1)[0]?.sent
  }
}

/**
 * The same for calls that ask for the same: method, URL, headers and body. A seller may answer by the headers, and who
 * shares a payer with others must not get what was meant for them.
 */
export function callKey({ method, url, headers }: Request, body: Uint8Array): string {
  const named = [...headers].filter(([name]) => !OF_A_TRY.test(name))
  return createHash('sha256')
    .update(JSON.stringify([method, url, named]))
    .update(body)
    .digest('hex')
}
