import { FraudFoundError } from '@opg/payer'
import { x402Client, x402HTTPClient } from '@x402/core/client'
import type { PaymentRequired, PaymentRequirements } from '@x402/core/types'
import type { Signer } from 'ethers'
import { type AccountOptions, openAccount } from './account.js'
import type { Closing } from './closing.js'
import { ClosedError, OfferRefusedError, PaymentRefusedError, PaymentUncertainError } from './errors.js'
import { type RequestContext, contextOf, withContext } from './requestContext.js'
import { uptoScheme, workOrderScheme } from './schemes.js'
import { type Paid, sendPaid } from './sendPaid.js'
import { type Sent, Unanswered, callKey } from './unanswered.js'

export interface PayFetchOptions extends AccountOptions {
  /** What pays and gets paid answers; `globalThis.fetch` if absent. */
  readonly fetch?: typeof globalThis.fetch
  /** How often a paid request is sent where the connection fails or the seller says "later": the same bytes. 4 if absent. */
  readonly attempts?: number
  /** Before the second attempt; each further one waits twice as long. 250 if absent. */
  readonly backoffMs?: number
  /** Of an answer that is not streamed. 16 MiB if absent. */
  readonly maxAnswerBytes?: number
}

/** A `fetch` that pays. */
export interface PayingFetch {
  (input: string | URL | Request, init?: RequestInit): Promise<Response>
  /** Base units that count against `maxPerDay` now. */
  spentToday(): Promise<bigint>
  /** Returns to the payer what expired orders still hold, also those of processes that ended. Costs gas. */
  reclaim(): Promise<Closing[]>
  /** Asks sellers to close this process's orders, so that their rests come back now, and ends: nothing can be asked of it afterwards. */
  close(): Promise<Closing[]>
}

const SCHEMES = ['work-order', 'upto']
const PAYMENT_HEADERS = ['payment-signature', 'x-payment']

/**
 * A `fetch` that pays with OPG where a seller asks for it over x402 (schemes `work-order` and `upto`), within the
 * spender's own limits, and checks what it gets for it.
 *
 * `payFetch(wallet, { rpcUrl, maxPerDay: '1' })`
 *
 * Besides what `fetch` throws: {@link SpendLimitError}, {@link OfferRefusedError}, {@link FundsMissingError},
 * {@link PaymentRefusedError}, {@link PaymentUncertainError}, {@link AnswerRefusedError}, {@link HostBlockedError},
 * {@link ClosedError},
 * `FraudFoundError`, `ReceiptInvalidError` and `ChainUnavailableError` of `@opg/payer`.
 *
 * @throws {InvalidInputError} if an option is not what it must be
 */
export function payFetch(signer: Signer, options: PayFetchOptions): PayingFetch {
  const { fetch = globalThis.fetch, attempts = 4, backoffMs = 250, maxAnswerBytes = 2 ** 24 } = options
  const account = openAccount(signer, options)
  const unanswered = new Unanswered(options.clock ?? Date.now)
  let isClosed = false
  const client = new x402Client()
  client.setSpendControls(false) // the limits of this package are asked instead: they last
  client.register('eip155:*', workOrderScheme(account.purse)).register('eip155:*', uptoScheme(account.purse))
  const http = new x402HTTPClient(client)

  async function call(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    refuseClosed()
    const request = new Request(input, init)
    if (PAYMENT_HEADERS.some((name) => request.headers.has(name))) {
      const expected = 'absent: payFetch writes it'
      throw new OfferRefusedError({ field: 'PAYMENT-SIGNATURE', expected, found: 'set by the caller' })
    }
    const context = await contextOf(request.clone())
    await account.refuseBlocked(context.host)
    const sent = unanswered.take(callKey(request, context.body))
    if (sent !== undefined) {
      const resumed = await deliver(request, { context, sent })
      if (resumed.status === 'done') return resumed.response
    }
    const first = await fetch(request.url, sendable(request, context))
    if (first.status !== 402) return first
    const offered = await offerOf(first, request)
    const paid = await pay(request, { context, offered })
    if (paid.status === 'done') return paid.response
    // The order behind the payment was over, by the seller's own word. Once more under a new one, and never again.
    const again = await pay(request, { context, offered })
    if (again.status === 'done') return again.response
    throw new PaymentRefusedError({ host: context.host, reason: again.reason })
  }

  /** What a seller asks for. Who was redirected to it does not pay: the payment was meant for somebody else. */
  async function offerOf(response: Response, request: Request): Promise<PaymentRequired> {
    if (response.redirected) {
      const expected = `by ${request.url}, which was asked`
      throw new OfferRefusedError({ field: 'origin', expected, found: `made by ${response.url}` })
    }
    const text = await response.text()
    try {
      const required = http.getPaymentRequiredResponse((name) => response.headers.get(name), jsonOf(text))
      return { ...required, accepts: [preferred(required)] }
    } catch (cause) {
      if (cause instanceof OfferRefusedError) throw cause
      const expected = 'an offer of x402'
      throw new OfferRefusedError({ field: 'PAYMENT-REQUIRED header', expected, found: 'none', cause })
    }
  }

  async function pay(
    request: Request,
    { context, offered }: { readonly context: RequestContext; readonly offered: PaymentRequired },
  ): Promise<Paid> {
    context.signal.throwIfAborted()
    const sent = await sign(context, offered)
    return deliver(request, { context, sent })
  }

  async function sign(context: RequestContext, offered: PaymentRequired): Promise<Sent> {
    try {
      const payload = await withContext(context, () => client.createPaymentPayload(offered))
      const { payment } = context
      if (payment === undefined) throw unsupported(offered.accepts)
      return { headers: http.encodePaymentSignatureHeader(payload), payment }
    } catch (error) {
      context.payment?.end()
      await blockFor(error, context)
      throw error
    }
  }

  async function deliver(
    request: Request,
    { context, sent }: { readonly context: RequestContext; readonly sent: Sent },
  ): Promise<Paid> {
    const { headers, payment } = sent
    const send = (): Promise<Response> =>
      fetch(request.url, { ...sendable(request, context, headers), redirect: 'manual' })
    const onFailure = (error: unknown): Promise<void> => blockFor(error, context)
    try {
      return await sendPaid(send, { context, payment, attempts, backoffMs, maxAnswerBytes, onFailure })
    } catch (error) {
      payment.end()
      if (error instanceof PaymentUncertainError || context.signal.aborted) {
        unanswered.keep(callKey(request, context.body), sent)
      }
      await onFailure(error)
      throw error
    }
  }

  async function blockFor(error: unknown, { host }: RequestContext): Promise<void> {
    if (error instanceof FraudFoundError) await account.block(host, error.proof.kind)
  }

  function refuseClosed(): void {
    if (isClosed) throw new ClosedError()
  }

  return Object.assign(call, {
    spentToday: async () => {
      refuseClosed()
      return account.spentToday()
    },
    reclaim: async () => {
      refuseClosed()
      return account.reclaim()
    },
    close: async () => {
      refuseClosed()
      isClosed = true
      return account.close(fetch)
    },
  })
}

/** Sessions first: they cost the seller no transaction for each request. */
function preferred({ accepts }: PaymentRequired): PaymentRequirements {
  for (const scheme of SCHEMES) {
    const found = accepts.find((offer) => offer.scheme === scheme && /^eip155:\d+$/.test(offer.network))
    if (found !== undefined) return found
  }
  throw unsupported(accepts)
}

function unsupported(accepts: readonly PaymentRequirements[]): OfferRefusedError {
  const found = accepts.map(({ scheme, network }) => `${scheme} on ${network}`).join(', ') || 'none'
  return new OfferRefusedError({ field: 'scheme', expected: `${SCHEMES.join(' or ')} on eip155:<chain id>`, found })
}

function sendable(request: Request, { body, signal }: RequestContext, extra: Record<string, string> = {}): RequestInit {
  const headers = new Headers(request.headers)
  // Receipts cover the bytes as the seller made them.
  headers.set('accept-encoding', 'identity')
  for (const [name, value] of Object.entries(extra)) headers.set(name, value)
  const { method, redirect, credentials, referrerPolicy } = request
  return {
    method,
    headers,
    signal,
    redirect,
    credentials,
    referrerPolicy,
    // A Blob can be sent again where a redirect asks for it; undici gives the memory of bytes away.
    ...(body.length === 0 ? {} : { body: new Blob([new Uint8Array(body)]) }),
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}
