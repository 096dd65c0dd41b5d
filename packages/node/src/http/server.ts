import { errorFields, type Logger } from '@opg/operator'
import { MAX_HEADER_LENGTH } from '@opg/protocol'
import Fastify, { type FastifyInstance, type FastifyRequest } from 'fastify'
import { setMaxListeners } from 'node:events'
import type { Socket } from 'node:net'
import { COMPUTE_PATHS, type ComputeBackend } from '../compute/backend.js'
import type { PaidService } from '../service/types.js'
import { computeRoute } from './computeRoute.js'
import { HttpError, errorAnswer, isInternal } from './errors.js'
import { infoBody, type NodeInfo } from './info.js'
import { orderRoutes, type PublicBooks } from './orderRoutes.js'
import { pageRoute } from './page.js'
import { sendError } from './sendError.js'
import type { Cashier } from '../x402/types.js'
import { MAX_PAYMENT_LENGTH } from '../x402/paymentHeader.js'

export interface HttpLimits {
  /** The largest body, in bytes. */
  readonly bodyBytes: number
  /** How long a client may take to send a request, in milliseconds. */
  readonly requestTimeoutMs: number
  /** How long a client of a stream may take nothing before it counts as gone, in milliseconds. */
  readonly stallTimeoutMs: number
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = {
  bodyBytes: 1_048_576,
  requestTimeoutMs: 30_000,
  stallTimeoutMs: 30_000,
}

export interface NodeServerOptions {
  readonly service: PaidService
  readonly books: PublicBooks
  readonly backends: readonly ComputeBackend[]
  readonly info: NodeInfo
  readonly logger: Logger
  /** Takes payments over x402; where left out, only signed requests under orders are served. */
  readonly cashier?: Cashier
  /** How clients reach this server, without a slash at the end; where left out, by the host that they name. */
  readonly publicUrl?: string | undefined
  readonly limits?: Partial<HttpLimits>
  /** Ends all that runs, once a stop can wait no longer: streams are billed for what was sent, the rest is not billed. */
  readonly stop?: AbortSignal
}

/**
 * The node's HTTP server, not yet listening. `close()` takes no new requests and resolves once those that run are
 * answered.
 */
export function createNodeServer(options: NodeServerOptions): FastifyInstance {
  const { service, books, backends, info, logger, cashier } = options
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits }
  const { stop = new AbortController().signal } = options
  setMaxListeners(0, stop) // one for each request that runs
  const publicUrl = ({ url, host }: FastifyRequest): string => `${options.publicUrl ?? `http://${host}`}${url}`
  const app = Fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    http: { maxHeaderSize: MAX_PAYMENT_LENGTH + MAX_HEADER_LENGTH },
    requestIdHeader: false,
    clientErrorHandler: refuseRaw,
    frameworkErrors: (error, _request, reply) => {
      sendError(reply, errorAnswer(error))
    },
  })

  // Bodies stay as they came: requestHash covers their bytes.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, (_request, body, done) => {
    done(null, body)
  })
  app.setErrorHandler((error, _request, reply) => {
    if (isInternal(error)) logger.error(errorFields(error), 'a request failed inside the node')
    return sendError(reply, errorAnswer(error))
  })
  app.setNotFoundHandler(() => {
    throw new HttpError(404, 'NOT_FOUND', 'There is no such method and path here. See GET /v1/info.')
  })
  let isClosing = false
  app.addHook('preClose', (done) => {
    isClosing = true
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    // What ran is answered now; its client would keep the connection, and with it the process.
    if (isClosing) {
      setImmediate(() => {
        app.server.closeIdleConnections()
      })
    }
    const fields = { method: request.method, route: request.routeOptions.url ?? 'none', status: reply.statusCode }
    logger.info({ ...fields, ms: Math.round(reply.elapsedTime) }, 'request')
    done()
  })

  app.get('/health', () => ({ status: 'ok' }))
  app.get('/v1/info', () => infoBody(info, backends))
  orderRoutes(app, { service, books })
  pageRoute(app, { info, backends, takesUpto: cashier?.takesUpto === true })
  const { stallTimeoutMs } = limits
  for (const path of COMPUTE_PATHS) {
    app.post(path, computeRoute(path, { service, cashier, backends, info, logger, stallTimeoutMs, stop, publicUrl }))
  }
  return app
}

/** Answers what is not HTTP, or too much of it. */
function refuseRaw(error: Error & { readonly code?: string }, socket: Socket): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, code, message] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ['431 Request Header Fields Too Large', 'HEADERS_TOO_LARGE', 'The headers are larger than this node takes.']
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ['408 Request Timeout', 'REQUEST_TIMEOUT', 'The request took too long to arrive.']
        : ['400 Bad Request', 'BAD_REQUEST', 'This is not a valid HTTP request.']
  const body = JSON.stringify({ error: { code, message } })
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${String(Buffer.byteLength(body))}\r\nconnection: close\r\n\r\n${body}`,
  )
}
