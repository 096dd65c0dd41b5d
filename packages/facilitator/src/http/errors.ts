import { ChainUnavailableError, StoreError, refusedRequest, type ErrorText } from '@opg/operator'

/** What every answer that is not x402's own carries, as JSON. */
export interface ErrorBody {
  readonly error: ErrorText
}

export interface ErrorAnswer {
  readonly status: number
  readonly body: ErrorBody
}

export const NOT_FOUND: ErrorAnswer = {
  status: 404,
  body: {
    error: {
      code: 'NOT_FOUND',
      message: 'There is POST /verify and /settle, and GET /supported, /health and /metrics.',
    },
  },
}

/** The answer to an error. What broke inside stays inside: its operator reads the log. */
export function errorAnswer(error: unknown): ErrorAnswer {
  const refused = refusedRequest(error)
  if (refused !== undefined) return { status: refused.status, body: { error: refused.error } }
  if (isUnavailable(error)) {
    const message = 'Chain or database did not answer, so nothing was decided. Try again.'
    return { status: 503, body: { error: { code: 'UNAVAILABLE', message } } }
  }
  const message = 'The facilitator failed, and nothing was decided. Try again.'
  return { status: 500, body: { error: { code: 'INTERNAL', message } } }
}

/** Whether chain or database said nothing, which says nothing of a payment (N6). */
export function isUnavailable(error: unknown): error is ChainUnavailableError | StoreError {
  return error instanceof ChainUnavailableError || error instanceof StoreError
}
