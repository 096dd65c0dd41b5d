import { parseSettledExtra, type SignedReceipt } from '@opg/protocol'
import {
  x402HTTPResourceServer,
  type HTTPAdapter,
  type HTTPProcessResult,
  type HTTPRequestContext,
  type HTTPResponseInstructions,
} from '@x402/core/server'
import type { Price } from '@x402/core/types'
import type { EscrowUpto } from './escrowUpto.js'
import { SaleRefusedError } from './errors.js'

/** A piece of a streamed answer, as it goes to the client. */
export interface PaidPiece {
  readonly data: string | Uint8Array
  /** Base units: what all is worth that was sent once this piece was. Never less than of the piece before. */
  readonly fee: bigint
}

/** What a streamed answer is made under. */
export interface PaidStream {
  /** Base units: more is not charged, whatever a piece says. */
  readonly cap: bigint
  /** Aborted when the client left or the order's time is over: nothing that is made from then on is paid. */
  readonly signal: AbortSignal
}

type Verified = Extract<HTTPProcessResult, { readonly type: 'payment-verified' }>

/** How a paid stream ended, for its last event. */
export type StreamEnd =
  | { readonly status: 'receipt'; readonly receipt: SignedReceipt }
  | { readonly status: 'failed'; readonly reason: string; readonly message: string }

/** Opens paid calls of one price. */
export type OpenPaidCall = (
  adapter: HTTPAdapter,
) => Promise<
  | { readonly status: 'refused'; readonly response: HTTPResponseInstructions }
  | { readonly status: 'paid'; readonly call: PaidCall }
>

/** Takes payments of one price outside the stock middlewares, which hold a whole answer back before it leaves. */
export function paidCalls(seller: EscrowUpto, price: Price): OpenPaidCall {
  // Whoever mounts the handler chooses the path: here every request is one for it.
  const server = new x402HTTPResourceServer(seller.resourceServer, seller.route(price))
  let initialized: Promise<void> | undefined
  return async (adapter) => {
    initialized ??= server.initialize()
    await initialized.catch((error: unknown) => {
      initialized = undefined
      throw error
    })
    const context = contextOf(adapter)
    const result = await server.processHTTPRequest(context)
    if (result.type === 'payment-error') return { status: 'refused', response: result.response }
    if (result.type === 'payment-verified') {
      return { status: 'paid', call: new PaidCall({ server, seller, context, verified: result }) }
    }
    throw new SaleRefusedError('lock_missing', 'The request matched no price, so nothing is served for it.')
  }
}

/** One paid request, whose order is locked: ended once, by `settle` or `cancel`. */
export class PaidCall {
  readonly #parts: {
    readonly server: x402HTTPResourceServer
    readonly seller: EscrowUpto
    readonly context: HTTPRequestContext
    readonly verified: Verified
  }
  readonly cap: bigint
  /** How long the answer may take from now on, in milliseconds. */
  readonly remainingMs: number

  constructor(parts: {
    readonly server: x402HTTPResourceServer
    readonly seller: EscrowUpto
    readonly context: HTTPRequestContext
    readonly verified: Verified
  }) {
    this.#parts = parts
    this.cap = BigInt(parts.verified.paymentRequirements.amount)
    this.remainingMs = parts.seller.remainingMs(parts.verified.paymentPayload)
  }

  /** Takes the fee of what was sent, and makes its receipt. */
  async settle(sent: readonly Uint8Array[], fee: bigint): Promise<StreamEnd> {
    const { server, context, verified } = this.#parts
    const { paymentPayload, paymentRequirements, declaredExtensions, beforeHandlerSettlement } = verified
    const result = await server.processSettlement(
      paymentPayload,
      paymentRequirements,
      declaredExtensions,
      { request: context, responseBody: Buffer.concat(sent) },
      { amount: fee.toString() },
      beforeHandlerSettlement,
    )
    const { receipt } = result.success ? parseSettledExtra(result.extra?.opg) : {}
    if (receipt !== undefined) return { status: 'receipt', receipt }
    const { errorReason = 'seller_failed', errorMessage = 'The order was given back.' } = result
    return { status: 'failed', reason: errorReason, message: errorMessage }
  }

  /** Gives the order back. The headers are for an answer that did not begin. */
  async cancel(error?: unknown): Promise<Readonly<Record<string, string>>> {
    const { server, verified } = this.#parts
    const { cancellationDispatcher, beforeHandlerSettlement, paymentPayload } = verified
    const settlement = await cancellationDispatcher.cancel({ reason: 'handler_failed', error })
    return server.createFailurePathSettlementHeaders(settlement, beforeHandlerSettlement, paymentPayload) ?? {}
  }
}

function contextOf(adapter: HTTPAdapter): HTTPRequestContext {
  const paymentHeader = adapter.getHeader('payment-signature') ?? adapter.getHeader('x-payment')
  return {
    adapter,
    path: adapter.getPath(),
    method: adapter.getMethod(),
    ...(paymentHeader === undefined ? {} : { paymentHeader }),
  }
}
