import type { PaymentRequirements, SettleResponse } from '@x402/core/types'
import type { Hex } from '@opg/protocol'
import type { PaidAnswer, PaidCall } from '../service/types.js'
import type { Quote } from './requirements.js'

/** What a payment is for. */
export interface Sale extends Quote {
  /** The URL's path as sent. */
  readonly path: string
  /** The body's raw bytes. */
  readonly body: Uint8Array
}

/** Takes payments that came in the header PAYMENT-SIGNATURE. */
export interface Cashier {
  /** Whether stock `upto` clients can pay here. */
  readonly takesUpto: boolean
  /** x402's extensions that go with a demand, where there are any now. */
  readonly extensions: Readonly<Record<string, unknown>> | undefined
  /** What a request may be paid with. The same for the same request, always. */
  requirements(quote: Quote): readonly PaymentRequirements[]
  /**
   * Makes a payment into the right to one call: reads it, has its money locked where that is not done, and sees the lock
   * on chain (N1). Nothing is computed here.
   *
   * @param header the header's value; hostile
   * @throws {InvalidInputError} naming the member that is malformed
   * @throws {ChainUnavailableError}
   */
  accept(header: unknown, sale: Sale, signal: AbortSignal): Promise<Acceptance>
  /** Gives back what was locked and not served, and asks what the facilitator takes, again and again until aborted. */
  run(options: { readonly signal: AbortSignal; readonly intervalMs: number }): Promise<void>
  /** One round of giving back. */
  sweepOnce(): Promise<void>
}

export type Acceptance = AcceptedPayment | PaymentRefusal

/** A payment whose money is locked: it pays for one call of the payment core. */
export interface AcceptedPayment {
  readonly status: 'accepted'
  readonly orderId: Hex
  /** What the call brings instead of a client's header. */
  readonly call: Pick<PaidCall, 'signedRequest' | 'signedVoucher' | 'authorized' | 'known'>
  /** Notes what became of the call, once it is durable. An order for one request is closed by it. */
  finish(answer: PaidAnswer): Promise<void>
  /** What PAYMENT-RESPONSE says of the answer; without one, of a stream that begins. */
  response(answer?: PaidAnswer): SettleResponse
}

/** Nothing was computed. */
export interface PaymentRefusal {
  readonly status: 'refused'
  /** For programs, in capitals. */
  readonly code: string
  readonly message: string
  /** 402: another payment may do better. 409 and 503: this one may, later. */
  readonly httpStatus: number
  /** What a facilitator said, in its words. */
  readonly reason?: string | undefined
  /** Seconds. */
  readonly retryAfter?: number | undefined
}
