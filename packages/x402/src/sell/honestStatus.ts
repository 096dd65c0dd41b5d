import type { IncomingMessage, ServerResponse } from 'node:http'

/** What a client that left is answered, for logs alone (nginx's code). */
const CLIENT_CLOSED = 499

/**
 * Middleware for express, right after x402's `paymentMiddleware` and before the handler: lets it see what the handler did.
 * By itself it takes the status from `res.statusCode` and waits for `res.end()`, so an answer of `res.writeHead(500)` is
 * captured as if it were good, and one that is destroyed keeps its order locked until `answerTimeoutMs`.
 *
 * A client that leaves before the handler began gets its money back; one that leaves later pays for what is computed.
 */
export function honestStatus() {
  return (request: IncomingMessage, response: ServerResponse, next: (error?: unknown) => void): void => {
    if (response.destroyed || request.socket.destroyed) {
      response.statusCode = CLIENT_CLOSED
      response.end()
      return
    }
    let hasEnded = false
    // What the payment middleware put there: it holds all back until the order is captured or released.
    const writeHead = response.writeHead.bind(response)
    const end = response.end.bind(response)
    const destroy = response.destroy.bind(response)
    const override = (name: 'writeHead' | 'end' | 'destroy', value: (...args: never[]) => unknown): void => {
      Object.defineProperty(response, name, { value, configurable: true, writable: true })
    }
    override('writeHead', (...args: Parameters<typeof writeHead>) => {
      response.statusCode = args[0]
      return Reflect.apply(writeHead, undefined, args)
    })
    override('end', (...args: Parameters<typeof end>) => {
      hasEnded = true
      return Reflect.apply(end, undefined, args)
    })
    override('destroy', (...args: Parameters<typeof destroy>) => {
      if (!hasEnded) {
        response.statusCode = 500
        response.end()
      }
      return Reflect.apply(destroy, undefined, args)
    })
    next()
  }
}
