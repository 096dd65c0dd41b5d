import type { IncomingMessage, ServerResponse } from 'node:http'

export interface HonestStatusOptions {
  /** So long a handler may take, in milliseconds, before its order is given back; 300,000. */
  readonly timeoutMs?: number
}

/** What a client that left is answered, for logs alone (nginx's code). */
const CLIENT_CLOSED = 499
const GATEWAY_TIMEOUT = 504
const DEFAULT_TIMEOUT_MS = 300_000

/**
 * Middleware for express, right after x402's `paymentMiddleware` and before the handler: lets it see what the handler did.
 * By itself it takes the status from `res.statusCode` and waits for `res.end()`, so an answer of `res.writeHead(500)` is
 * captured as if it were good, and one that is destroyed or never ends keeps its order locked until `claimBy`.
 *
 * A client that leaves before the handler began gets its money back; one that leaves later pays for what is computed.
 */
export function honestStatus({ timeoutMs = DEFAULT_TIMEOUT_MS }: HonestStatusOptions = {}) {
  return (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void => {
    if (response.destroyed || request.socket.destroyed) {
      response.statusCode = CLIENT_CLOSED
      response.end()
      return
    }
    let hasEnded = false
    const fail = (status: number): void => {
      if (hasEnded) return
      response.statusCode = status
      response.end()
    }
    const timer = setTimeout(fail, timeoutMs, GATEWAY_TIMEOUT)
    timer.unref()

    // What the payment middleware put there: it holds all back until the order is captured or released.
    const { writeHead, end, destroy } = response
    const override = (name: 'writeHead' | 'end' | 'destroy', value: (...args: never[]) => unknown): void => {
      Object.defineProperty(response, name, { value, configurable: true, writable: true })
    }
    override('writeHead', (...args: Parameters<typeof writeHead>) => {
      response.statusCode = args[0]
      return Reflect.apply(writeHead, response, args)
    })
    override('end', (...args: Parameters<typeof end>) => {
      hasEnded = true
      clearTimeout(timer)
      return Reflect.apply(end, response, args)
    })
    override('destroy', (...args: Parameters<typeof destroy>) => {
      fail(500)
      return Reflect.apply(destroy, response, args)
    })
    next()
  }
}
