import { AsyncLocalStorage } from 'node:async_hooks'
import type { Hex, SignedReceipt } from '@opg/protocol'

/** The request that is being paid for. x402 hands schemes the offer only, so it travels beside. */
export interface RequestContext {
  /** Origin: scheme, host and port. */
  readonly host: string
  /** Without query. */
  readonly path: string
  /** As it is sent. */
  readonly body: Uint8Array
  readonly signal: AbortSignal
  /** Set by the scheme that paid. */
  payment?: Payment
}

/** A payment that was signed, to be told what became of it. */
export interface Payment {
  /** Whether an answer without a receipt is none. */
  readonly needsReceipt: boolean
  /** @throws {ReceiptInvalidError} {@link FraudFoundError} */
  accept(receipt: SignedReceipt, responseHash: Hex): Promise<void>
  /** The seller refused: nothing is charged, as far as it says. */
  refuse(): Promise<void>
  /** The order behind it takes no more requests. Says whether there was one, so that paying again may help. */
  retire(): boolean
  /** Nothing more happens to it in this call. */
  end(): void
}

const current = new AsyncLocalStorage<RequestContext>()

/** The request that is being paid for here, if it is known. */
export function currentRequest(): RequestContext | undefined {
  return current.getStore()
}

/** Runs `work` with a request known to the schemes that pay in it. */
export function withContext<T>(context: RequestContext, work: () => Promise<T>): Promise<T> {
  return current.run(context, work)
}

/** Reads what a request is about; uses it up. */
export async function contextOf(request: Request): Promise<RequestContext> {
  const { origin, pathname } = new URL(request.url)
  const body = new Uint8Array(await request.arrayBuffer())
  return { host: origin, path: pathname, body, signal: request.signal }
}
