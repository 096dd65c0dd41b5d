import { ChainUnavailableError, refusedRequest, type ErrorText } from '@opg/operator'
import { ComputeError, type ComputeErrorCode } from '../compute/errors.js'
import { AnswerUnprovedError, ReservationLostError } from '../errors.js'
import type { Refusal } from '../service/types.js'

/** What every answer that is no success carries, as JSON. */
export interface ErrorBody {
  readonly error: ErrorText
  /** With status 402: what to pay, and on which terms. */
  readonly payment?: unknown
  /** With status 402, as x402 v2 has them in its header. */
  readonly x402Version?: number
  readonly resource?: unknown
  readonly accepts?: unknown
}

export interface ErrorAnswer {
  readonly status: number
  readonly body: ErrorBody
  /** Seconds after which to try again. */
  readonly retryAfter?: number
  /** Further headers, by their names in lower case. */
  readonly headers?: Readonly<Record<string, string>>
}

/** An error of the HTTP layer itself. */
export class HttpError extends Error {
  readonly code: string
  readonly status: number

  constructor(status: number, code: string, message: string) {
    super(message)
    this.name = 'HttpError'
    this.status = status
    this.code = code
  }
}

const RETRY_SECONDS = 5

const COMPUTE_STATUS: Readonly<Record<ComputeErrorCode, number>> = {
  MODEL_FAILED: 422,
  ANSWER_TOO_LARGE: 422,
  UPSTREAM_UNREACHABLE: 502,
  UPSTREAM_REFUSED: 502,
  UPSTREAM_BUSY: 503,
  UPSTREAM_TIMEOUT: 504,
  UPSTREAM_MALFORMED: 502,
  CLIENT_GONE: 499,
}

/** The answer to an error. What is not meant for the client stays inside: it learns that something broke, and no more. */
export function errorAnswer(error: unknown): ErrorAnswer {
  const refused = refusedRequest(error)
  if (refused !== undefined) return { status: refused.status, body: { error: refused.error } }
  if (error instanceof HttpError)
    return { status: error.status, body: { error: { code: error.code, message: error.message } } }
  if (error instanceof ComputeError) {
    const status = COMPUTE_STATUS[error.code]
    const body = { error: { code: error.code, message: error.message } }
    return status === 503 ? { status, body, retryAfter: RETRY_SECONDS } : { status, body }
  }
  if (error instanceof AnswerUnprovedError) {
    return { status: 422, body: { error: { code: error.code, message: error.message } } }
  }
  if (error instanceof ChainUnavailableError) {
    const message = 'The chain does not answer this node now. Nothing was concluded from it; try again.'
    return { status: 503, retryAfter: RETRY_SECONDS, body: { error: { code: 'UNAVAILABLE', message } } }
  }
  if (error instanceof ReservationLostError) {
    return { status: 503, retryAfter: RETRY_SECONDS, body: { error: { code: error.code, message: error.message } } }
  }
  return {
    status: 500,
    body: { error: { code: 'INTERNAL', message: 'The node failed. Nothing is billed; try again.' } },
  }
}

/** Whether the error is the node's own fault, so that its operator should see it. */
export function isInternal(error: unknown): boolean {
  return errorAnswer(error).status === 500
}

/** The answer to a refusal of the payment core. */
export function refusalAnswer(refusal: Refusal): ErrorAnswer {
  const code = refusal.reason === 'malformed' ? 'INVALID_INPUT' : refusal.reason.toUpperCase().replaceAll('-', '_')
  const body = { error: { code, message: refusal.detail } }
  if (refusal.reason === 'in-progress') return { status: refusal.httpStatus, body, retryAfter: 1 }
  return refusal.httpStatus === 503
    ? { status: refusal.httpStatus, body, retryAfter: RETRY_SECONDS }
    : { status: refusal.httpStatus, body }
}
