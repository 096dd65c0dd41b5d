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

/**
 * Payments that were sent and got no answer, by what they pay for. Whoever makes the same call again, or has a client that
 * does so by itself, sends the same payment again, and is charged once.
 */
export class Unanswered {
  readonly #sent: { readonly key: string; readonly sent: Sent; readonly untilMs: number }[] = []

  constructor(private readonly clock: () => number) {}

  keep(key: string, sent: Sent): void {
    this.#sent.push({ key, sent, untilMs: this.clock() + KEPT_MS })
    if (this.#sent.length > MAX_KEPT) this.#sent.shift()
  }

  /** The oldest for a call, which is then this caller's. */
  take(key: string): Sent | undefined {
    const now = this.clock()
    while (this.#sent[0] !== undefined && this.#sent[0].untilMs <= now) this.#sent.shift()
    const at = this.#sent.findIndex((entry) => entry.key === key)
    return at < 0 ? undefined : this.#sent.splice(at, 1)[0]?.sent
  }
}

/** The same for calls that ask for the same: method, URL and body. */
export function callKey({ method, url }: Request, body: Uint8Array): string {
  return createHash('sha256').update(`${method} ${url}\n`).update(body).digest('hex')
}
