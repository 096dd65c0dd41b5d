import { InvalidInputError } from '@opg/protocol'

/** What is wrong, as answers carry it in JSON. */
export interface ErrorText {
  /** For programs: it stays as it is. */
  readonly code: string
  /** One or two sentences for people. */
  readonly message: string
  /** Path of the value that is wrong. */
  readonly field?: string
  readonly expected?: string
  readonly found?: string
}

export interface RefusedRequest {
  /** Of HTTP. */
  readonly status: number
  readonly error: ErrorText
}

const malformed = (message: string, where: Pick<ErrorText, 'field' | 'expected'>): RefusedRequest => ({
  status: 400,
  error: { code: 'INVALID_INPUT', message, ...where },
})

/** What fastify itself refuses, in our words. */
const BY_FASTIFY: Readonly<Record<string, RefusedRequest>> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: {
    status: 415,
    error: {
      code: 'CONTENT_TYPE_UNSUPPORTED',
      message: 'The body must be JSON, with content-type application/json.',
      field: 'content-type',
      expected: 'application/json',
    },
  },
  FST_ERR_CTP_BODY_TOO_LARGE: {
    status: 413,
    error: { code: 'BODY_TOO_LARGE', message: 'The body is larger than is taken here.', field: 'body' },
  },
  FST_ERR_CTP_EMPTY_JSON_BODY: malformed('The body is empty.', { field: 'body' }),
  FST_ERR_CTP_INVALID_JSON_BODY: malformed('The body must be JSON in UTF-8.', {
    field: 'body',
    expected: 'JSON in UTF-8',
  }),
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: malformed('The body is not as long as content-length says.', {
    field: 'content-length',
  }),
  FST_ERR_BAD_URL: malformed('The path is not a valid URL path.', { field: 'path' }),
  FST_ERR_MAX_PARAM_LENGTH: { ...malformed('The path is too long.', { field: 'path' }), status: 414 },
}

/** What is wrong with a request, where it is the request's own fault: an input that was read, or what fastify refuses. */
export function refusedRequest(error: unknown): RefusedRequest | undefined {
  if (error instanceof InvalidInputError) {
    const { code, message, field, expected, found } = error
    return { status: 400, error: { code, message, field, expected, found } }
  }
  const { code } = Object(error) as { readonly code?: unknown }
  return typeof code === 'string' && Object.hasOwn(BY_FASTIFY, code) ? BY_FASTIFY[code] : undefined
}
