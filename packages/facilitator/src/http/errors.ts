import { InvalidInputError } from '@opg/protocol'
import { ChainUnavailableError, StoreError } from '@opg/operator'

/** What every answer that is not x402's own carries, as JSON. */
export interface ErrorBody {
  readonly error: {
    /** For programs: it stays as it is. */
    readonly code: string
    /** One or two sentences for people. */
    readonly message: string
    /** Path of the value that is wrong. */
    readonly field?: string
    readonly expected?: string
    readonly found?: string
  }
}

export interface ErrorAnswer {
  readonly status: number
  readonly body: ErrorBody
}

/** What fastify itself refuses, in our words. */
const FRAMEWORK: Readonly<Record<string, ErrorBody['error'] & { readonly status: number }>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 415,
    code: 'CONTENT_TYPE_UNSUPPORTED',
    message: 'The body must be JSON, with content-type application/json.',
    field: 'content-type',
    expected: 'application/json',
  },
  FST_ERR_CTP_BODY_TOO_LARGE: {
    status: 413,
    code: 'BODY_TOO_LARGE',
    message: 'The body is larger than this facilitator takes.',
    field: 'body',
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: { status: 400, code: 'INVALID_INPUT', message: 'The body is empty.', field: 'body' },
  FST_ERR_CTP_INVALID_JSON_BODY: {
    status: 400,
    code: 'INVALID_INPUT',
    message: 'The body must be JSON in UTF-8.',
    field: 'body',
    expected: 'JSON in UTF-8',
  },
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: {
    status: 400,
    code: 'INVALID_INPUT',
    message: 'The body is not as long as content-length says.',
    field: 'content-length',
  },
  FST_ERR_NOT_FOUND: {
    status: 404,
    code: 'NOT_FOUND',
    message: 'There is POST /verify and /settle, and GET /supported, /health and /metrics.',
  },
}

/** The answer to an error. What broke inside stays inside: its operator reads the log. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof InvalidInputError) {
    const { code, message, field, expected, found } = error
    return { status: 400, body: { error: { code, message, field, expected, found } } }
  }
  if (isUnavailable(error)) {
    const message = 'Chain or database did not answer, so nothing was decided. Try again.'
    return { status: 503, body: { error: { code: 'UNAVAILABLE', message } } }
  }
  const known = FRAMEWORK[codeOf(error)]
  if (known !== undefined) {
    const { status, ...rest } = known
    return { status, body: { error: rest } }
  }
  const message = 'The facilitator failed, and nothing was decided. Try again.'
  return { status: 500, body: { error: { code: 'INTERNAL', message } } }
}

/** Whether chain or database said nothing, which says nothing of a payment (N6). */
export function isUnavailable(error: unknown): error is ChainUnavailableError | StoreError {
  return error instanceof ChainUnavailableError || error instanceof StoreError
}

function codeOf(error: unknown): string {
  return typeof error === 'object' && error !== null && 'code' in error ? String(error.code) : ''
}
