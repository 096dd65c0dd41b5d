import { ZERO_BYTES32, requestHash } from '@opg/protocol'
import type { HTTPAdapter } from '@x402/core/server'
import { Hono, type HonoRequest } from 'hono'
import { describe, expect, it } from 'vitest'
import { hashRequest, rawBody } from './rawRequest.js'

function request(input: { readonly url?: string; readonly body?: unknown; readonly length?: string }) {
  const { url = 'http://host/v1/answer?q=1', body, length } = input
  const adapter: HTTPAdapter = {
    getHeader: (name) => (name === 'content-length' ? length : undefined),
    getMethod: () => 'POST',
    getPath: () => '/answer',
    getUrl: () => url,
    getAcceptHeader: () => '',
    getUserAgent: () => '',
    getBody: () => body,
  }
  return { adapter, path: '/answer', method: 'POST' }
}

describe('the hash of a request', () => {
  it('is over the path as it was sent, without query, and the raw body', async () => {
    const body = Buffer.from('{"a": 1}')
    expect(await hashRequest(request({ body, length: '8' }), rawBody)).toBe(requestHash('/v1/answer', body))
  })

  it('is over nothing where nothing was sent', async () => {
    const expected = requestHash('/v1/answer', new Uint8Array())
    expect(await hashRequest(request({}), rawBody)).toBe(expected)
    expect(await hashRequest(request({ length: '0' }), rawBody)).toBe(expected)
  })

  it.each([{ a: 1 }, '{"a":1}', undefined])('is zero where only %j is left of a body', async (body) => {
    expect(await hashRequest(request({ body, length: '8' }), rawBody)).toBe(ZERO_BYTES32)
  })

  it('is of what the seller reads itself', async () => {
    const body = Buffer.from('raw')
    const hash = await hashRequest(request({ body: { parsed: true }, length: '3' }), () => body)
    expect(hash).toBe(requestHash('/v1/answer', body))
  })

  it('falls back on the router’s path, and on zero for what no path is', async () => {
    expect(await hashRequest(request({ url: 'nonsense' }), rawBody)).toBe(requestHash('/answer', new Uint8Array()))
    const odd = { ...request({ url: 'nonsense' }), path: 'no slash' }
    expect(await hashRequest(odd, rawBody)).toBe(ZERO_BYTES32)
    expect(await hashRequest(undefined, rawBody)).toBe(ZERO_BYTES32)
  })
})

describe('the raw body', () => {
  const asked = { ...request({ length: '9' }).adapter }
  const bodyOf = (adapter: object) => rawBody({ adapter: { ...asked, ...adapter }, path: '/answer', method: 'POST' })

  it('is what express.json({ verify }) kept beside the parsed one', async () => {
    const kept = Buffer.from('{"a": 1 }')
    expect(await bodyOf({ req: { rawBody: kept }, getBody: () => ({ a: 1 }) })).toBe(kept)
  })

  it('is what hono holds, whether nobody read it yet or somebody did as bytes', async () => {
    const fresh = await honoRequest('{"a": 1 }')
    expect(await bodyOf({ c: { req: fresh } })).toEqual(new Uint8Array(Buffer.from('{"a": 1 }')))
    expect(await fresh.json()).toEqual({ a: 1 })
    expect(await bodyOf({ c: { req: fresh } })).toEqual(new Uint8Array(Buffer.from('{"a": 1 }')))
  })

  it.each(['json', 'text'] as const)('is not known once hono gave it as %s only', async (form) => {
    const read = await honoRequest('{"a": 1 }')
    await read[form]()
    expect(await bodyOf({ c: { req: read } })).toBeUndefined()
  })
})

/** A request as hono hands it to a handler. */
async function honoRequest(body: string): Promise<HonoRequest> {
  const app = new Hono()
  return new Promise((resolve) => {
    app.post('/', (context) => {
      resolve(context.req)
      return context.body(null)
    })
    void app.request('/', { method: 'POST', body })
  })
}
