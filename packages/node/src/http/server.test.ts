import {
  EMPTY_TREE,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  decodeReceiptEvent,
  decodeReceiptHeader,
  encodeRequestHeader,
  responseHash,
  toWire,
} from '@opg/protocol'
import type { FastifyInstance } from 'fastify'
import { connect } from 'node:net'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { elementwiseModel } from '../../test/smallModels.js'
import { NODE, ORDER_ID, fakeService, receiptOf, refusal, type FakeService } from '../../test/fakeService.js'
import { speak, speakForEver, startStandInLlm, type StandInLlm } from '../../test/standInLlm.js'
import { createOnnxBackend } from '../compute/onnxBackend.js'
import { createOpenAiUpstream } from '../compute/openAiUpstream.js'
import type { LogFields, Logger } from '../edge.js'
import { ChainUnavailableError, StoreError } from '../errors.js'
import type { NodeInfo } from './info.js'
import { createNodeServer } from './server.js'

const SECRET = 'sk-very-secret'
const prices = { perRequest: 100n, inputPerMillion: 1_000_000n, outputPerMillion: 1_000_000n }
const MODEL_ID = `0x${'33'.repeat(32)}` as const
const signed = {
  request: { orderId: ORDER_ID, node: NODE, index: 0n, requestHash: ZERO_BYTES32, maxFee: 1n, expiresAt: 9 },
  signature: `0x${'02'.repeat(65)}`,
} as const
const PAID = { 'content-type': 'application/json', 'x-opg-request': encodeRequestHeader(signed) }
const INFER = JSON.stringify({ model: 'mirror', input: { x: [1, 2] } })
const CHAT = JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: 'hi' }], max_tokens: 50 })
const STREAM = JSON.stringify({ ...(JSON.parse(CHAT) as object), stream: true })

const info: NodeInfo = {
  version: '0.0.0',
  chainId: 31337n,
  deploymentChainId: 31337n,
  escrow: NODE,
  token: NODE,
  node: NODE,
  verifiers: [{ address: NODE, evidenceKeys: [ZERO_BYTES32], receiptKey: { kind: 'ecdsa', address: NODE } }],
  orders: { minAmount: 5n, minSecondsToClaimBy: 60, minNetNodeBps: 8000 },
}

describe('createNodeServer', () => {
  let llm: StandInLlm
  let app: FastifyInstance
  let service: FakeService
  let url: string
  const logged: { fields: LogFields; message: string }[] = []
  const log = (fields: LogFields, message: string): void => {
    logged.push({ fields, message })
  }
  const logger: Logger = { info: log, warn: log, error: log }

  beforeEach(async () => {
    logged.length = 0
    llm = await startStandInLlm()
    service = fakeService()
    const books = {
      order: (orderId: string) =>
        Promise.resolve(
          orderId !== ORDER_ID
            ? undefined
            : ({
                orderId: ORDER_ID,
                termsHash: ZERO_BYTES32,
                terms: {
                  node: NODE,
                  facilitator: ZERO_ADDRESS,
                  facilitatorBps: 0,
                  verifier: NODE,
                  evidenceKey: ZERO_BYTES32,
                  modelId: MODEL_ID,
                },
                order: {
                  payer: NODE,
                  nonce: 1n,
                  amount: 1000n,
                  job: { requester: NODE, requestHash: ZERO_BYTES32 },
                  claimBy: 99,
                },
                networkBps: 0,
                royaltyBps: 0,
                chain: 'open',
                released: 3n,
                checkedAtMs: 0,
                closing: undefined,
                blocked: undefined,
                receiptCount: 250n,
                cumulativeFee: 7n,
                tree: EMPTY_TREE,
                activeAtMs: 0,
                unsettledSinceMs: undefined,
                reserved: 11n,
                reservations: 1,
                inFlight: false,
              } as const),
        ),
      receipts: (_: string, page: { readonly from: bigint; readonly limit: number }) =>
        Promise.resolve(
          Array.from({ length: Math.min(page.limit, 250 - Number(page.from)) }, (_, i) => {
            const { receipt, ...rest } = receiptOf(new Uint8Array(), 1n)
            return { ...rest, receipt: { ...receipt, seq: page.from + BigInt(i) } }
          }),
        ),
    }
    const mirror = await createOnnxBackend({
      model: { name: 'mirror', modelId: MODEL_ID, prices },
      onnx: elementwiseModel('float'),
    })
    const chat = createOpenAiUpstream({
      model: { name: 'chat', modelId: MODEL_ID, prices },
      upstreamModel: 'tiny',
      baseUrl: llm.baseUrl,
      apiKey: SECRET,
      idleTimeoutMs: 300,
      limits: { maxOutputTokens: 100 },
      fetch,
    })
    app = createNodeServer({
      service,
      books,
      backends: [mirror, chat],
      info,
      logger,
      limits: { bodyBytes: 10_000, stallTimeoutMs: 200 },
    })
    await app.listen({ host: '127.0.0.1', port: 0 })
    url = `http://127.0.0.1:${String((app.server.address() as AddressInfo).port)}`
  })
  afterEach(async () => {
    app.server.closeAllConnections()
    await app.close()
    await llm.close()
  })

  const post = (
    path: string,
    body: string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = PAID,
  ): Promise<Response> => fetch(`${url}${path}`, { method: 'POST', body, headers })
  const errorOf = async (
    response: Response,
  ): Promise<{ status: number; code: unknown; field: unknown; message: unknown }> => {
    const { error } = (await response.json()) as { error: Record<string, unknown> }
    return { status: response.status, code: error['code'], field: error['field'], message: error['message'] }
  }
  const isUp = async (): Promise<boolean> => (await fetch(`${url}/health`)).ok

  describe('POST /v1/infer', () => {
    it('answers with the result, and with the receipt in a header that covers its bytes', async () => {
      const response = await post('/v1/infer', INFER)
      const bytes = new Uint8Array(await response.arrayBuffer())
      const { receipt } = decodeReceiptHeader(response.headers.get('x-opg-receipt'))
      expect(response.status).toBe(200)
      expect(JSON.parse(Buffer.from(bytes).toString())).toMatchObject({ output: { y: { data: [1, 2] } } })
      expect(receipt.responseHash).toBe(responseHash(bytes))
      expect(receipt.fee).toBe(104n)
    })

    it('hands the core the raw bytes, the path, the model and what it can cost', async () => {
      const body = `{ "model":"mirror",\n "input": {"x":[1.50]} }`
      await post('/v1/infer', body)
      const [call] = service.calls
      expect(Buffer.from(call?.body ?? []).toString()).toBe(body)
      expect(call).toMatchObject({ path: '/v1/infer', modelId: MODEL_ID, prices, signedRequest: toWire(signed) })
      expect(call?.maxFeeNeeded).toBe(100n + 1n + 65_536n)
    })

    it('unpaid: 402 with everything that an order needs, and nothing runs', async () => {
      const response = await post('/v1/infer', INFER, { 'content-type': 'application/json' })
      expect(response.status).toBe(402)
      expect(await response.json()).toMatchObject({
        error: { code: 'PAYMENT_REQUIRED', field: 'x-opg-request' },
        payment: {
          chainId: '31337',
          escrow: NODE,
          node: NODE,
          modelId: MODEL_ID,
          verifiers: [{ address: NODE, evidenceKeys: [ZERO_BYTES32] }],
          prices: toWire(prices),
          maxFee: '65638',
          orders: { minAmount: '5' },
        },
      })
      expect(service.calls).toHaveLength(0)
    })

    it.each([
      ['malformed', 400, 'INVALID_INPUT'],
      ['wrong-node', 400, 'WRONG_NODE'],
      ['order-exhausted', 402, 'ORDER_EXHAUSTED'],
      ['signature-invalid', 403, 'SIGNATURE_INVALID'],
      ['order-unknown', 404, 'ORDER_UNKNOWN'],
      ['index-conflict', 409, 'INDEX_CONFLICT'],
      ['in-progress', 409, 'IN_PROGRESS'],
      ['unavailable', 503, 'UNAVAILABLE'],
    ] as const)('refused as %s: %i %s', async (reason, status, code) => {
      service.answer = refusal(reason, status)
      const response = await post('/v1/infer', INFER)
      expect(response.headers.has('retry-after')).toBe(reason === 'in-progress' || reason === 'unavailable')
      const body = (await response.clone().json()) as { payment?: unknown }
      expect(body.payment !== undefined).toBe(status === 402)
      expect(await errorOf(response)).toMatchObject({ status, code, message: `refused: ${reason}` })
    })

    it('answers a replay with the stored bytes', async () => {
      const body = Buffer.from('{"stored":true}')
      service.answer = { status: 'replayed', body, contentType: 'application/json', signedReceipt: receiptOf(body, 1n) }
      const response = await post('/v1/infer', INFER)
      expect(await response.text()).toBe('{"stored":true}')
      expect(decodeReceiptHeader(response.headers.get('x-opg-receipt')).receipt.responseHash).toBe(responseHash(body))
    })

    it('the core breaks: 500 that tells nothing of the inside', async () => {
      for (const error of [
        new StoreError('x', { cause: new TypeError(SECRET) }),
        new TypeError(`${SECRET} at /home/node/key.pem`),
      ]) {
        service.answer = error
        const response = await post('/v1/infer', INFER)
        const text = await response.text()
        expect(response.status).toBe(500)
        expect(JSON.parse(text)).toEqual({
          error: { code: 'INTERNAL', message: 'The node failed. Nothing is billed; try again.' },
        })
      }
      expect(logged.filter(({ message }) => message.includes('failed inside'))).toHaveLength(2)
      expect(JSON.stringify(logged)).not.toContain(SECRET)
    })

    it('the chain is silent: 503, and nothing is said of the order', async () => {
      service.answer = new ChainUnavailableError('orders', { cause: new TypeError('http://user:password@rpc') })
      const response = await post('/v1/infer', INFER)
      expect(response.headers.get('retry-after')).toBe('5')
      expect(await response.clone().text()).not.toContain('password')
      expect(await errorOf(response)).toMatchObject({ status: 503, code: 'UNAVAILABLE' })
    })
  })

  describe('POST /v1/chat/completions', () => {
    it('buffered: the upstream answer, and its receipt in the header', async () => {
      llm.behave(speak(['Hello'], { prompt: 3, completion: 1 }))
      const response = await post('/v1/chat/completions', CHAT)
      expect(await response.json()).toMatchObject({ choices: [{ message: { content: 'Hello' } }] })
      expect(decodeReceiptHeader(response.headers.get('x-opg-receipt')).receipt.fee).toBe(104n)
    })

    it('streamed: piece by piece while the upstream still speaks, and the receipt as the last event', async () => {
      let finish = (): void => undefined
      llm.behave(async (response) => {
        response.setHeader('content-type', 'text/event-stream')
        response.write('data: {"choices":[{"index":0,"delta":{"content":"first"}}]}\n\n')
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        response.write('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
        response.write('data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n')
        response.end('data: [DONE]\n\n')
      })
      const response = await post('/v1/chat/completions', STREAM)
      expect(response.headers.get('content-type')).toBe('text/event-stream; charset=utf-8')
      const reader = response.body?.getReader()
      const first = await reader?.read()
      expect(Buffer.from(first?.value ?? []).toString()).toContain('first')
      finish()
      let text = Buffer.from(first?.value ?? []).toString()
      for (let next = await reader?.read(); next?.done === false; next = await reader?.read())
        text += Buffer.from(next.value).toString()
      const [sent = '', receipt = ''] = text.split('event: receipt\ndata: ')
      expect(sent.endsWith('data: [DONE]\n\n')).toBe(true)
      expect(sent).not.toContain('prompt_tokens')
      const signedReceipt = decodeReceiptEvent(receipt.trim())
      expect(signedReceipt.receipt.fee).toBe(104n)
      expect(signedReceipt.receipt.responseHash).toBe(responseHash(Buffer.from(sent)))
    })

    it('client aborts mid-stream: the upstream is stopped and the node stays up', async () => {
      llm.behave(speakForEver('word'))
      const client = new AbortController()
      const response = await fetch(`${url}/v1/chat/completions`, {
        method: 'POST',
        body: STREAM,
        headers: PAID,
        signal: client.signal,
      })
      await response.body?.getReader().read()
      client.abort()
      await until(() => llm.cutOff.length === 1)
      expect(await isUp()).toBe(true)
    })

    it('client takes nothing: it counts as gone after a while, and the upstream is stopped', async () => {
      llm.behave(speakForEver('word'.repeat(1000)))
      const { port } = app.server.address() as AddressInfo
      const socket = connect(port, '127.0.0.1')
      socket.pause()
      socket.write(rawRequest('POST /v1/chat/completions HTTP/1.1', STREAM))
      await until(() => llm.cutOff.length === 1)
      socket.destroy()
      expect(await isUp()).toBe(true)
    })

    it('streamed replay: the stored bytes, then the receipt', async () => {
      const body = Buffer.from('data: [DONE]\n\n')
      service.answer = {
        status: 'replayed',
        body,
        contentType: 'text/event-stream',
        signedReceipt: receiptOf(body, 1n),
      }
      const text = await (await post('/v1/chat/completions', STREAM)).text()
      expect(text.startsWith('data: [DONE]\n\nevent: receipt\ndata: ')).toBe(true)
      expect(text.endsWith('\n\n')).toBe(true)
    })

    it('refused before the stream begins: a plain error', async () => {
      service.answer = refusal('order-exhausted', 402)
      expect(await errorOf(await post('/v1/chat/completions', STREAM))).toMatchObject({
        status: 402,
        code: 'ORDER_EXHAUSTED',
      })
      service.answer = new TypeError(SECRET)
      expect(await errorOf(await post('/v1/chat/completions', STREAM))).toMatchObject({ status: 500, code: 'INTERNAL' })
    })

    it.each([
      [500, 502, 'UPSTREAM_REFUSED'],
      [429, 503, 'UPSTREAM_BUSY'],
    ])('upstream answers with %i: %i %s, without its words', async (upstream, status, code) => {
      llm.behave((response) => {
        response.writeHead(upstream).end(`bad key ${SECRET}`)
      })
      for (const body of [CHAT, STREAM]) {
        const response = await post('/v1/chat/completions', body)
        expect(await response.clone().text()).not.toContain(SECRET)
        expect(await errorOf(response)).toMatchObject({ status, code })
      }
    })

    it('upstream hangs: 504', async () => {
      llm.behave(() => undefined)
      expect(await errorOf(await post('/v1/chat/completions', STREAM))).toMatchObject({
        status: 504,
        code: 'UPSTREAM_TIMEOUT',
      })
    })

    it('upstream breaks mid-stream: an error event and no receipt', async () => {
      llm.behave((response) => {
        response.end('data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\ndata: {"choi')
      })
      const text = await (await post('/v1/chat/completions', STREAM)).text()
      expect(text).toContain('event: error\ndata: {"error":{"code":"UPSTREAM_MALFORMED"')
      expect(text).not.toContain('event: receipt')
    })
  })

  describe('hostile requests', () => {
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
      expect(await errorOf(await post('/v1/infer', body))).toMatchObject({ status: 400, code: 'INVALID_INPUT', field })
      expect(service.calls).toHaveLength(0)
      expect(await isUp()).toBe(true)
    })

    it('a model that is not offered, or not under this path: 404 with those that are', async () => {
      for (const name of ['toString', '__proto__', 'chat']) {
        const response = await post('/v1/infer', JSON.stringify({ model: name, input: {} }))
        const error = await errorOf(response)
        expect(error).toMatchObject({ status: 404, code: 'MODEL_UNKNOWN' })
        expect(error.message).toContain('mirror')
      }
    })

    const header = (value: string): Record<string, string> => ({ ...PAID, 'x-opg-request': value })
    const encoded = (value: unknown): Record<string, string> =>
      header(Buffer.from(JSON.stringify(value)).toString('base64url'))
    const wire = toWire(signed)
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
      expect(await errorOf(await post('/v1/infer', INFER, headers))).toMatchObject({
        status: 400,
        code: 'INVALID_INPUT',
        field,
      })
      expect(service.calls).toHaveLength(0)
    })

    it('header x-opg-request twice: 400', async () => {
      const answer = await raw(
        rawRequest('POST /v1/infer HTTP/1.1', INFER, `x-opg-request: ${PAID['x-opg-request']}\r\n`),
      )
      expect(answer).toContain('400 Bad Request')
      expect(answer).toContain('"field":"x-opg-request"')
    })

    it('a body over the limit: 413, whether its length is told or not', async () => {
      const big = JSON.stringify({ model: 'mirror', input: { x: 'a'.repeat(20_000) } })
      expect(await errorOf(await post('/v1/infer', big))).toMatchObject({
        status: 413,
        code: 'BODY_TOO_LARGE',
        field: 'body',
      })
      const chunked = await raw(
        `POST /v1/infer HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n4e20\r\n${'a'.repeat(20_000)}\r\n0\r\n\r\n`,
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
      const error = await errorOf(await post('/v1/infer', INFER, { ...PAID, 'content-type': type }))
      expect(error).toMatchObject({ status: 415, code: 'CONTENT_TYPE_UNSUPPORTED', field: 'content-type' })
    })

    it('JSON with a charset is JSON', async () => {
      expect(
        (await post('/v1/infer', INFER, { ...PAID, 'content-type': 'application/json; charset=utf-8' })).status,
      ).toBe(200)
    })

    it('a path with a query, or written in another way: not served, since requestHash covers the path as it was sent', async () => {
      expect(await errorOf(await post('/v1/infer?x=1', INFER))).toMatchObject({ status: 400, field: 'path' })
      expect(await errorOf(await post('/v1/%69nfer', INFER))).toMatchObject({ status: 400, field: 'path' })
      expect((await post('/v1/infer/', INFER)).status).toBe(404)
      expect((await post('/V1/infer', INFER)).status).toBe(404)
    })

    it.each([
      ['an unknown path', 'GET', '/nothing', 404],
      ['a wrong method', 'GET', '/v1/infer', 404],
      ['a path that is no URL', 'GET', '/v1/%zz', 400],
    ])('%s: JSON error', async (_, method, path, status) => {
      const response = await fetch(`${url}${path}`, { method })
      expect(response.headers.get('content-type')).toContain('application/json')
      expect((await errorOf(response)).status).toBe(status)
    })

    it.each([
      [
        'headers that are too large',
        `GET / HTTP/1.1\r\nhost: x\r\nx-long: ${'a'.repeat(20_000)}\r\n\r\n`,
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
      [
        'a header with a line break inside',
        `GET /health HTTP/1.1\r\nhost: x\r\nx-a: b\rc\r\n\r\n`,
        '400',
        'BAD_REQUEST',
      ],
    ])('%s: an error in JSON, and the node stays up', async (_, request, status, code) => {
      const answer = await raw(request)
      expect(answer.split('\r\n')[0]).toContain(status)
      expect(answer).toContain(`"code":"${code}"`)
      expect(await isUp()).toBe(true)
    })

    it('nothing of the requests reaches the log but method, route and status', async () => {
      await post('/v1/infer?key=sk-very-secret', INFER, { ...PAID, authorization: SECRET })
      await fetch(`${url}/${SECRET}`)
      expect(logged.length).toBeGreaterThanOrEqual(2)
      expect(JSON.stringify(logged)).not.toContain(SECRET)
    })
  })

  describe('POST /v1/orders', () => {
    const terms = {
      node: NODE,
      facilitator: ZERO_ADDRESS,
      facilitatorBps: 0,
      verifier: NODE,
      evidenceKey: ZERO_BYTES32,
      modelId: MODEL_ID,
    }
    const order = {
      payer: NODE,
      nonce: '1',
      amount: '1000',
      job: { requester: NODE, requestHash: ZERO_BYTES32 },
      claimBy: 99,
    }

    it('answers with the admission', async () => {
      const response = await post('/v1/orders', JSON.stringify({ terms, order }))
      expect(await response.json()).toEqual({
        status: 'admitted',
        orderId: ORDER_ID,
        amount: '10',
        held: '10',
        claimBy: 99,
      })
    })

    it.each([
      ['no terms', { order }, 'terms'],
      ['a bad checksum', { terms: { ...terms, node: NODE.replace('F', 'f') }, order }, 'terms.node'],
      ['a negative amount', { terms, order: { ...order, amount: '-1' } }, 'order.amount'],
      ['an amount over 96 bits', { terms, order: { ...order, amount: (2n ** 96n).toString() } }, 'order.amount'],
      ['a claimBy as a text', { terms, order: { ...order, claimBy: '99' } }, 'order.claimBy'],
      ['an unknown member', { terms, order, signature: '0x' }, 'signature'],
    ])('%s: 400 that names the field', async (_, body, field) => {
      expect(await errorOf(await post('/v1/orders', JSON.stringify(body)))).toMatchObject({ status: 400, field })
    })

    it('refused: its status and reason', async () => {
      service.answer = refusal('order-not-open', 402)
      expect(await errorOf(await post('/v1/orders', JSON.stringify({ terms, order })))).toMatchObject({
        status: 402,
        code: 'ORDER_NOT_OPEN',
      })
    })
  })

  describe('POST /v1/orders/:orderId/close', () => {
    const close = (orderId: unknown): string =>
      JSON.stringify({ closeRequest: { orderId, expiresAt: 9 }, signature: '0x' })

    it('passes the wish on', async () => {
      const response = await post(`/v1/orders/${ORDER_ID}/close`, close(ORDER_ID))
      expect(await response.json()).toEqual({ status: 'closing', orderId: ORDER_ID })
    })

    it.each([undefined, null, 1, 'x', ZERO_BYTES32])(
      'for another order than the path says (%j): 400',
      async (orderId) => {
        expect(await errorOf(await post(`/v1/orders/${ORDER_ID}/close`, close(orderId)))).toMatchObject({
          status: 400,
          field: 'closeRequest.orderId',
        })
      },
    )
  })

  describe('books', () => {
    it('shows an order', async () => {
      expect(await (await fetch(`${url}/v1/orders/${ORDER_ID}`)).json()).toMatchObject({
        orderId: ORDER_ID,
        chain: 'open',
        amount: '1000',
        cumulativeFee: '7',
        reserved: '11',
        released: '3',
        receiptCount: '250',
      })
    })

    it('pages through the receipts, to the last', async () => {
      const seqs: string[] = []
      let next: string | null = '0'
      while (next !== null) {
        const response = await fetch(`${url}/v1/orders/${ORDER_ID}/receipts?from=${next}`)
        const page = (await response.json()) as { receipts: { receipt: { seq: string } }[]; next: string | null }
        seqs.push(...page.receipts.map(({ receipt }) => receipt.seq))
        next = page.next
      }
      expect(seqs).toEqual(Array.from({ length: 250 }, (_, i) => String(i)))
    })

    it('from behind the last receipt, or without from', async () => {
      expect(await (await fetch(`${url}/v1/orders/${ORDER_ID}/receipts?from=250`)).json()).toMatchObject({
        receipts: [],
        next: null,
      })
      expect(await (await fetch(`${url}/v1/orders/${ORDER_ID}/receipts`)).json()).toMatchObject({ next: '100' })
    })

    it.each([
      ['/v1/orders/0x12', 400, 'orderId'],
      [`/v1/orders/${'9'.repeat(200)}`, 414, 'path'],
      [`/v1/orders/${ZERO_BYTES32}`, 404, undefined],
      [`/v1/orders/${ZERO_BYTES32}/receipts`, 404, undefined],
      [`/v1/orders/${ORDER_ID}/receipts?from=-1`, 400, 'from'],
      [`/v1/orders/${ORDER_ID}/receipts?from=1e3`, 400, 'from'],
      [`/v1/orders/${ORDER_ID}/receipts?from=1&from=2`, 400, 'from'],
      [`/v1/orders/${ORDER_ID}/receipts?from=18446744073709551616`, 400, 'from'],
    ])('%s: %i', async (path, status, field) => {
      expect(await errorOf(await fetch(`${url}${path}`))).toMatchObject({ status, field })
    })
  })

  it('GET /v1/info tells terms, models and prices', async () => {
    expect(await (await fetch(`${url}/v1/info`)).json()).toMatchObject({
      node: NODE,
      escrow: NODE,
      chainId: '31337',
      models: [
        { name: 'mirror', path: '/v1/infer', modelId: MODEL_ID, prices: toWire(prices) },
        { name: 'chat', path: '/v1/chat/completions' },
      ],
    })
  })

  it('closes gracefully: what runs is answered', async () => {
    let speakNow = (): void => undefined
    llm.behave(async (response, seen) => {
      await new Promise<void>((resolve) => {
        speakNow = resolve
      })
      await speak(['Hello'], { prompt: 1, completion: 1 })(response, seen)
    })
    const running = post('/v1/chat/completions', CHAT)
    await until(() => llm.seen.length === 1)
    const closed = app.close()
    speakNow()
    expect((await running).status).toBe(200)
    await closed
    await expect(fetch(`${url}/health`)).rejects.toThrow()
  })

  const raw = (request: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const socket = connect((app.server.address() as AddressInfo).port, '127.0.0.1')
      let answer = ''
      socket.setTimeout(2_000, () => socket.end())
      socket.on('data', (data) => (answer += data.toString()))
      socket.on('close', () => {
        resolve(answer)
      })
      socket.on('error', reject)
      socket.write(request)
    })
})

function rawRequest(line: string, body: string, more = ''): string {
  const headers = Object.entries(PAID).map(([name, value]) => `${name}: ${value}\r\n`)
  return `${line}\r\nhost: x\r\nconnection: close\r\n${headers.join('')}${more}content-length: ${String(body.length)}\r\n\r\n${body}`
}

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, 5))
}
