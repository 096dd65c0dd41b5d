import { InvalidInputError } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { refusedRequest } from '../src/index.js'

describe('refusedRequest', () => {
  it('says of an input where it is wrong, what was expected and what was found', () => {
    const error = new InvalidInputError({ field: 'order.amount', expected: 'digits', value: 'x' })
    expect(refusedRequest(error)).toMatchObject({
      status: 400,
      error: { code: 'INVALID_INPUT', field: 'order.amount', expected: 'digits' },
    })
  })

  it.each([
    ['FST_ERR_CTP_INVALID_MEDIA_TYPE', 415],
    ['FST_ERR_CTP_BODY_TOO_LARGE', 413],
    ['FST_ERR_CTP_EMPTY_JSON_BODY', 400],
    ['FST_ERR_CTP_INVALID_JSON_BODY', 400],
    ['FST_ERR_CTP_INVALID_CONTENT_LENGTH', 400],
    ['FST_ERR_BAD_URL', 400],
    ['FST_ERR_MAX_PARAM_LENGTH', 414],
  ])('says %s in words of its own, with status %i', (code, status) => {
    const refused = refusedRequest(Object.assign(new Error('in those of fastify'), { code }))
    expect(refused?.status).toBe(status)
    expect(refused?.error.message).not.toContain('fastify')
  })

  it.each([new Error('x'), Object.assign(new Error('x'), { code: 'toString' }), { code: 7 }, 'x', null, undefined])(
    'knows nothing of what is not the fault of the request: %s',
    (error) => {
      expect(refusedRequest(error)).toBeUndefined()
    },
  )
})
