import { errorFields, type Clock, type Logger } from '@opg/operator'
import { EIP2612_EXTENSION, toWire } from '@opg/protocol'
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify'
import { networkOf } from '../verify/deployed.js'
import type { FacilitatorService } from '../service.js'
import { errorAnswer, isUnavailable, NOT_FOUND } from './errors.js'
import type { Health } from './health.js'
import type { Metrics } from './metrics.js'

export interface HttpLimits {
  /** The largest body, in bytes. */
  readonly bodyBytes: number
  /** How long a client may take to send a request, in milliseconds. */
  readonly requestTimeoutMs: number
}

export const DEFAULT_HTTP_LIMITS: HttpLimits = { bodyBytes: 65_536, requestTimeoutMs: 10_000 }

export interface FacilitatorServerOptions {
  readonly service: FacilitatorService
  readonly health: () => Promise<Health>
  readonly metrics: Metrics
  readonly clock: Clock
  readonly logger: Logger
  readonly limits?: Partial<HttpLimits>
}

interface SettleBody {
  readonly paymentPayload?: unknown
  readonly paymentRequirements?: unknown
}

/**
 * The facilitator's HTTP server after x402 v2, not yet listening. What a payment lacks is an answer of status 200;
 * other statuses mean that it was no payment, or that nothing could be decided.
 */
export function createFacilitatorServer(options: FacilitatorServerOptions): FastifyInstance {
  const { service, health, metrics, clock, logger } = options
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits }
  const app = Fastify({
    logger: false,
    bodyLimit: limits.bodyBytes,
    requestTimeout: limits.requestTimeoutMs,
    // Objects are read member by member and built afresh, so a key that poisons prototypes is one that is unknown.
    onProtoPoisoning: 'ignore',
    onConstructorPoisoning: 'ignore',
    requestIdHeader: false,
    forceCloseConnections: 'idle',
  })
  app.removeContentTypeParser('text/plain')
  app.setErrorHandler((error, _request, reply) => {
    const answer = errorAnswer(error)
    if (answer.status >= 500) logger.error(errorFields(error), 'a request failed')
    return send(reply, answer.status, answer.body)
  })
  app.setNotFoundHandler((_request, reply) => send(reply, NOT_FOUND.status, NOT_FOUND.body))

  app.post('/verify', async (request, reply) => {
    const { paymentPayload, paymentRequirements } = bodyOf(request.body)
    const startedMs = clock()
    const answered = (outcome: string): void => {
      metrics.answered('verify', outcome, (clock() - startedMs) / 1000)
    }
    try {
      const answer = await service.verify(paymentPayload, paymentRequirements)
      answered(answer.invalidReason ?? 'valid')
      return await send(reply, 200, answer)
    } catch (error) {
      if (!isUnavailable(error)) throw error
      answered('unavailable')
      logger.warn({ code: error.code, operation: error.operation }, 'a payment could not be judged')
      // In x402's own shape, so that stock clients throw it as the failure that it is.
      const { body, status } = errorAnswer(error)
      const invalidMessage = body.error.message
      return send(reply.header('retry-after', '1'), status, {
        isValid: false,
        invalidReason: 'unavailable',
        invalidMessage,
      })
    }
  })

  app.post('/settle', async (request, reply) => {
    const { paymentPayload, paymentRequirements } = bodyOf(request.body)
    const startedMs = clock()
    const answer = await service.settle(paymentPayload, paymentRequirements)
    if (answer.extra !== undefined && 'limit' in answer.extra) metrics.limited(answer.extra.limit.name)
    metrics.answered('settle', answer.errorReason ?? 'settled', (clock() - startedMs) / 1000)
    return send(reply, 200, answer)
  })

  app.get('/supported', (_request, reply) => send(reply, 200, supportedBody(service)))

  app.get('/health', async (_request, reply) => {
    const { isHealthy, problems, blockNumber, engine } = await health()
    const body = {
      status: isHealthy ? 'ok' : 'unhealthy',
      problems,
      blockNumber: blockNumber ?? null,
      engine: engine ?? null,
    }
    return send(reply, isHealthy ? 200 : 503, toWire(body))
  })

  app.get('/metrics', async (_request, reply) => {
    const text = await metrics.text(await health())
    return reply.header('cache-control', 'no-store').type(metrics.contentType).send(text)
  })

  return app
}

/**
 * x402 v2 `SupportedResponse`. There is no `extra.facilitatorAddress` in it: a stock server would write it over the desk,
 * which binds the offer.
 */
export function supportedBody({ deployed, policy }: FacilitatorService): {
  readonly kinds: readonly { readonly x402Version: 2; readonly scheme: string; readonly network: string }[]
  readonly extensions: readonly string[]
  readonly signers: Readonly<Record<string, readonly string[]>>
} {
  const schemes = deployed.upto === undefined ? ['work-order'] : ['upto', 'work-order']
  const network = networkOf(deployed)
  return {
    kinds: schemes.map((scheme) => ({ x402Version: 2, scheme, network })),
    extensions: policy.sponsorsApprovals ? [EIP2612_EXTENSION] : [],
    signers: { 'eip155:*': [policy.facilitator] },
  }
}

function bodyOf(body: unknown): SettleBody {
  return typeof body === 'object' && body !== null ? body : {}
}

function send(reply: FastifyReply, status: number, body: unknown): FastifyReply {
  return reply.status(status).header('cache-control', 'no-store').type('application/json; charset=utf-8').send(body)
}
