import { encodeReceiptEvent } from '@opg/protocol'
import type { HTTPAdapter } from '@x402/core/server'
import type { Price } from '@x402/core/types'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { EscrowUpto } from './escrowUpto.js'
import { paidCalls } from './paidCall.js'
import { errorEvent, streamPieces, type PieceSink, type Produce, type Streamed } from './paidPieces.js'

export interface StreamPaidOptions {
  /** By itself `text/event-stream`, in which receipt and error are events. */
  readonly contentType?: string
  /** How long a client may take nothing, in milliseconds, before it counts as gone; 30,000. */
  readonly stallTimeoutMs?: number
}

const EVENT_STREAM = 'text/event-stream'
const DEFAULT_STALL_TIMEOUT_MS = 30_000

/**
 * A handler for express or `node:http` that sells a streamed answer. Each piece leaves at once, and the receipt is the
 * last event. Stock middlewares would hold all of it back until the end: use none for this path.
 */
export function streamPaid<Request extends IncomingMessage>(
  seller: EscrowUpto,
  price: Price,
  produce: Produce<Request>,
  options: StreamPaidOptions = {},
): (request: Request, response: ServerResponse) => Promise<void> {
  const { contentType = EVENT_STREAM, stallTimeoutMs = DEFAULT_STALL_TIMEOUT_MS } = options
  const open = paidCalls(seller, price)
  return async (request, response) => {
    const opened = await open(adapterOf(request)).catch(() => undefined)
    if (opened === undefined) {
      response.writeHead(502, { 'content-type': 'application/json' })
      response.end(JSON.stringify({ error: 'The facilitator could not be asked what it supports. Try again later.' }))
      return
    }
    if (opened.status === 'refused') {
      const { status, headers, body, isHtml } = opened.response
      response.writeHead(status, isHtml === true ? headers : { ...headers, 'Content-Type': 'application/json' })
      response.end(isHtml === true ? String(body) : JSON.stringify(body ?? {}))
      return
    }
    const sink = sinkOf(response, { contentType, stallTimeoutMs })
    const streamed = await streamPieces(opened.call, { input: request, produce, sink })
    end(response, { streamed, contentType })
  }
}

function end(
  response: ServerResponse,
  { streamed, contentType }: { readonly streamed: Streamed; readonly contentType: string },
): void {
  if (streamed.status === 'gone') return
  if (streamed.status === 'threw' && !streamed.hasBegun) {
    response.writeHead(500, { 'content-type': 'application/json', ...streamed.headers })
    response.end(JSON.stringify({ error: 'The handler failed. Nothing was charged.' }))
    return
  }
  begin(response, contentType)
  if (contentType !== EVENT_STREAM) {
    // There is no place for a receipt; that something went wrong shows by a stream that breaks off.
    if (streamed.status === 'receipt') response.end()
    else response.destroy()
    return
  }
  if (streamed.status === 'receipt') response.end(encodeReceiptEvent(streamed.receipt))
  else if (streamed.status === 'failed') response.end(errorEvent(streamed.reason, streamed.message))
  else response.end(errorEvent('handler_failed', 'The handler failed. Nothing was charged.'))
}

function begin(response: ServerResponse, contentType: string): void {
  if (response.headersSent) return
  response.writeHead(200, {
    'content-type': contentType,
    'cache-control': 'no-store, private',
    // Proxies that buffer would turn a stream into a wait.
    'x-accel-buffering': 'no',
  })
}

function sinkOf(
  response: ServerResponse,
  { contentType, stallTimeoutMs }: { readonly contentType: string; readonly stallTimeoutMs: number },
): PieceSink {
  const gone = new AbortController()
  const leave = (): void => {
    gone.abort()
  }
  if (response.destroyed) leave()
  else response.once('close', leave)
  return {
    gone: gone.signal,
    send: (bytes) => {
      if (gone.signal.aborted) return Promise.resolve(false)
      begin(response, contentType)
      return new Promise((resolve) => {
        const timer = setTimeout(() => response.destroy(), stallTimeoutMs)
        const settle = (hasIt: boolean): void => {
          clearTimeout(timer)
          response.off('close', onClose)
          resolve(hasIt)
        }
        const onClose = (): void => {
          settle(false)
        }
        response.once('close', onClose)
        response.write(bytes, (error) => {
          settle(error === undefined || error === null)
        })
      })
    },
  }
}

function adapterOf(request: IncomingMessage & { readonly originalUrl?: string; readonly body?: unknown }): HTTPAdapter {
  const { method = 'GET', headers, url: target = '/', originalUrl = target, body } = request
  const url = new URL(originalUrl, `http://${headers.host ?? 'localhost'}`)
  const header = (name: string): string | undefined => {
    const value = headers[name.toLowerCase()]
    return typeof value === 'string' ? value : value?.[0]
  }
  return {
    getHeader: header,
    getMethod: () => method,
    getPath: () => url.pathname,
    getUrl: () => url.href,
    getAcceptHeader: () => header('accept') ?? '',
    getUserAgent: () => header('user-agent') ?? '',
    getBody: () => body,
  }
}
