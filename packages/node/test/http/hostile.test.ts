import { toWire } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { NODE } from '../fakeService.js'
import { INFER, PAID, SECRET, SIGNED, errorOf, rawRequest, useTestServer } from './testServer.js'

describe('hostile requests', () => {
  const server = useTestServer()

  it.each([
    ['no body', '', 'body'],
    ['no JSON', 'hello', 'body'],
    ['half a JSON', '{"model":', 'body'],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), 'body'],
    ['a list', '[]', 'body'],
    ['null', 'null', 'body'],
    ['nesting without end', '['.repeat(9000), 'body'],
    ['no model', '{}', 'model'],
    ['a model that is an object', '{"model":{"toString":1}}', 'model'],
    ['__proto__', '{"__proto__":{"model":"mirror"},"input":{}}', 'model'],
    ['__proto__ beside the model', '{"model":"mirror","__proto__":{},"input":{"x":[1]}}', '__proto__'],
    ['constructor', '{"model":"mirror","constructor":{"prototype":{}},"input":{"x":[1]}}', 'constructor'],
    ['no input', '{"model":"mirror"}', 'input'],
  ])('%s: 400 that names the field', async (_, body, field) => {
    expect(await errorOf(await server.post('/v1/infer', body))).toMatchObject({
      status: 400,
      code: 'INVALID_INPUT',
      field,
    })
    expect(server.service.calls).toHaveLength(0)
    expect(await server.isUp()).toBe(true)
  })

  it('a model that is not offered, or not under this path: 404 with those that are', async () => {
    for (const name of ['toString', '__proto__', 'chat']) {
      const response = await server.post('/v1/infer', JSON.stringify({ model: name, input: {} }))
      const error = await errorOf(response)
      expect(error).toMatchObject({ status: 404, code: 'MODEL_UNKNOWN' })
      expect(error.message).toContain('mirror')
    }
  })

  const header = (value: string): Record<string, string> => ({ ...PAID, 'x-opg-request': value })
  const encoded = (value: unknown): Record<string, string> =>
    header(Buffer.from(JSON.stringify(value)).toString('base64url'))
  const wire = toWire(SIGNED)
  it.each([
    ['an empty value', header(''), 'x-opg-request'],
    ['no base64url', header('{"a":1}'), 'x-opg-request'],
    ['base64url of no JSON', header('aGVsbG8'), 'x-opg-request'],
    ['too long', header('A'.repeat(8193)), 'x-opg-request'],
    ['null', encoded(null), 'x-opg-request'],
    ['a list', encoded([]), 'x-opg-request'],
    [
      'a negative fee',
      encoded({ ...wire, request: { ...wire.request, maxFee: '-1' } }),
      'x-opg-request.request.maxFee',
    ],
    [
      'a fractional fee',
      encoded({ ...wire, request: { ...wire.request, maxFee: '1.5' } }),
      'x-opg-request.request.maxFee',
    ],
    [
      'a fee over 96 bits',
      encoded({ ...wire, request: { ...wire.request, maxFee: (2n ** 96n).toString() } }),
      'x-opg-request.request.maxFee',
    ],
    [
      'a fee as a number',
      encoded({ ...wire, request: { ...wire.request, maxFee: 1 } }),
      'x-opg-request.request.maxFee',
    ],
    [
      'a node with a bad checksum',
      encoded({ ...wire, request: { ...wire.request, node: NODE.replace('F', 'f') } }),
      'x-opg-request.request.node',
    ],
    ['a short signature', encoded({ ...wire, signature: '0x00' }), 'x-opg-request.signature'],
    ['an unknown member', encoded({ ...wire, extra: 1 }), 'x-opg-request.extra'],
  ])('header x-opg-request with %s: 400 that names it', async (_, headers, field) => {
    expect(await errorOf(await server.post('/v1/infer', INFER, headers))).toMatchObject({
      status: 400,
      code: 'INVALID_INPUT',
      field,
    })
    expect(server.service.calls).toHaveLength(0)
  })

  it('header x-opg-request twice: 400', async () => {
    const answer = await server.raw(
      rawRequest('POST /v1/infer HTTP/1.1', INFER, `x-opg-request: ${PAID['x-opg-request']}\r\n`),
    )
    expect(answer).toContain('400 Bad Request')
    expect(answer).toContain('"field":"x-opg-request"')
  })

  it('a body over the limit: 413, whether its length is told or not', async () => {
    const big = JSON.stringify({ model: 'mirror', input: { x: 'a'.repeat(40_000) } })
    expect(await errorOf(await server.post('/v1/infer', big))).toMatchObject({
      status: 413,
      code: 'BODY_TOO_LARGE',
      field: 'body',
    })
    const chunked = await server.raw(
      `POST /v1/infer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n${'a'.repeat(40_000)}\r\n0\r\n\r\n`,
    )
    expect(chunked).toContain('413')
  })

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonp',
    'nonsense',
  ])('content-type %s: 415 that names it', async (type) => {
    const error = await errorOf(await server.post('/v1/infer', INFER, { ...PAID, 'content-type': type }))
    expect(error).toMatchObject({ status: 415, code: 'CONTENT_TYPE_UNSUPPORTED', field: 'content-type' })
  })

  it('JSON with a charset is JSON', async () => {
    expect(
      (await server.post('/v1/infer', INFER, { ...PAID, 'content-type': 'application/json; charset=utf-8' })).status,
    ).toBe(200)
  })

  it('a path with a query, or written in another way: not served, since requestHash covers the path as it was sent', async () => {
    expect(await errorOf(await server.post('/v1/infer?x=1', INFER))).toMatchObject({ status: 400, field: 'path' })
    expect(await errorOf(await server.post('/v1/%69nfer', INFER))).toMatchObject({ status: 400, field: 'path' })
    expect((await server.post('/v1/infer/', INFER)).status).toBe(404)
    expect((await server.post('/V1/infer', INFER)).status).toBe(404)
  })

  it.each([
    ['an unknown path', 'GET', '/nothing', 404],
    ['a wrong method', 'GET', '/v1/infer', 404],
    ['a path that is no URL', 'GET', '/v1/%zz', 400],
  ])('%s: JSON error', async (_, method, path, status) => {
    const response = await fetch(`${server.url}${path}`, { method })
    expect(response.headers.get('content-type')).toContain('application/json')
    expect((await errorOf(response)).status).toBe(status)
  })

  it.each([
    [
      'headers that are too large',
      `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(40_000)}\r\n\r\n`,
      '431',
      'HEADERS_TOO_LARGE',
    ],
    ['no HTTP', 'HELLO\r\n\r\n', '400', 'BAD_REQUEST'],
    [
      'two lengths',
      `POST /v1/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n`,
      '400',
      'BAD_REQUEST',
    ],
    [
      'a length and chunks',
      `POST /v1/infer HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
      '400',
      'BAD_REQUEST',
    ],
    ['a header with a line break inside', `GET /health HTTP/1.1\r\nhost: x\r\nx-a: b\rc\r\n\r\n`, '400', 'BAD_REQUEST'],
  ])('%s: an error in JSON, and the node stays up', async (_, request, status, code) => {
    const answer = await server.raw(request)
    expect(answer.split('\r\n')[0]).toContain(status)
    expect(answer).toContain(`"code":"${code}"`)
    expect(await server.isUp()).toBe(true)
  })

  it('nothing of the requests reaches the log but method, route and status', async () => {
    await server.post('/v1/infer?key=sk-very-secret', INFER, { ...PAID, authorization: SECRET })
    await fetch(`${server.url}/${SECRET}`)
    expect(server.logged.length).toBeGreaterThanOrEqual(2)
    expect(JSON.stringify(server.logged)).not.toContain(SECRET)
  })
})
