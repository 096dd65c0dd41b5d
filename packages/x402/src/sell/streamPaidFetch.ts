import { encodeReceiptEvent } from '@opg/protocol'
import type { HTTPAdapter } from '@x402/core/server'
import type { Price } from '@x402/core/types'
import type { EscrowUpto } from './escrowUpto.js'
import { paidCalls, type PaidCall } from './paidCall.js'
import { errorEvent, streamPieces, type PieceSink, type Produce } from './paidPieces.js'

/**
 * `streamPaid` for servers that take a `Request` and give a `Response`: `app.post('/chat', (c) => sell(c.req.raw))` in
 * hono. A piece counts as sent once the server asked for the next one.
 */
export function streamPaidFetch(
  seller: EscrowUpto,
  price: Price,
  produce: Produce<Request>,
): (request: Request) => Promise<Response> {
  const open = paidCalls(seller, price)
  return async (request) => {
    const opened = await open(adapterOf(request)).catch(() => undefined)
    if (opened === undefined) {
      return Response.json(
        { error: 'The facilitator could not be asked what it supports. Try again later.' },
        { status: 502 },
      )
    }
    if (opened.status === 'refused') {
      const { status, headers, body, isHtml } = opened.response
      return new Response(isHtml === true ? String(body) : JSON.stringify(body ?? {}), {
        status,
        headers: isHtml === true ? headers : { ...headers, 'Content-Type': 'application/json' },
      })
    }
    return respond(opened.call, { request, produce })
  }
}

function respond(
  call: PaidCall,
  { request, produce }: { readonly request: Request; readonly produce: Produce<Request> },
): Response {
  const pipe = new PulledPieces(request.signal)
  const body = new ReadableStream<Uint8Array>(
    {
      pull: (controller) => pipe.pull(controller),
      cancel: () => {
        pipe.leave()
      },
    },
    { highWaterMark: 0 },
  )
  void streamPieces(call, { input: request, produce, sink: pipe }).then(
    (streamed) => {
      if (streamed.status === 'receipt') pipe.end(encodeReceiptEvent(streamed.receipt))
      else if (streamed.status === 'failed') pipe.end(errorEvent(streamed.reason, streamed.message))
      else pipe.end(errorEvent('handler_failed', 'The handler failed. Nothing was charged.'))
    },
    () => {
      pipe.end(errorEvent('seller_failed', 'The seller could not settle.'))
    },
  )
  return new Response(body, {
    headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store, private', 'x-accel-buffering': 'no' },
  })
}

/** Hands pieces over one by one, as they are asked for. */
class PulledPieces implements PieceSink {
  readonly #gone = new AbortController()
  #waiting: { readonly bytes: Uint8Array; readonly isLast: boolean } | undefined
  #offered: (() => void) | undefined
  #taken: ((hasIt: boolean) => void) | undefined

  constructor(signal: AbortSignal) {
    const leave = (): void => {
      this.leave()
    }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  }

  get gone(): AbortSignal {
    return this.#gone.signal
  }

  send(bytes: Uint8Array): Promise<boolean> {
    if (this.#gone.signal.aborted) return Promise.resolve(false)
    return new Promise((resolve) => {
      this.#taken = resolve
      this.#offer({ bytes, isLast: false })
    })
  }

  end(event: string): void {
    this.#offer({ bytes: Buffer.from(event), isLast: true })
  }

  /** The server is ready for a piece: it has sent the one before. */
  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    this.#taken?.(true)
    this.#taken = undefined
    while (this.#waiting === undefined) {
      await new Promise<void>((resolve) => {
        this.#offered = resolve
      })
    }
    const { bytes, isLast } = this.#waiting
    this.#waiting = undefined
    controller.enqueue(bytes)
    if (isLast) controller.close()
  }

  leave(): void {
    this.#gone.abort()
    this.#taken?.(false)
    this.#taken = undefined
  }

  #offer(piece: { readonly bytes: Uint8Array; readonly isLast: boolean }): void {
    this.#waiting = piece
    this.#offered?.()
    this.#offered = undefined
  }
}

function adapterOf(request: Request): HTTPAdapter {
  const { pathname } = new URL(request.url)
  const header = (name: string): string | undefined => request.headers.get(name) ?? undefined
  return {
    getHeader: header,
    getMethod: () => request.method,
    getPath: () => pathname,
    getUrl: () => request.url,
    getAcceptHeader: () => header('accept') ?? '',
    getUserAgent: () => header('user-agent') ?? '',
  }
}
