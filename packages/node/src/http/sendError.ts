import type { FastifyReply } from 'fastify'
import type { ErrorAnswer } from './errors.js'

/** Sends an error as JSON. */
export function sendError(reply: FastifyReply, answer: ErrorAnswer): FastifyReply {
  if (answer.retryAfter !== undefined) void reply.header('retry-after', String(answer.retryAfter))
  return reply
    .status(answer.status)
    .headers(answer.headers ?? {})
    .header('cache-control', 'no-store')
    .type('application/json; charset=utf-8')
    .send(answer.body)
}
