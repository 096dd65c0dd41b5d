import { ChainUnavailableError, StoreError } from '@opg/operator'
import { decodeReceiptEvent, decodeReceiptHeader, responseHash, toWire, ZERO_BYTES32 } from '@opg/protocol'
import { connect, type AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { NODE, receiptOf, refusal } from '../fakeService.js'
import { speak, speakForEver } from '../standInLlm.js'
import {
  CHAT,
  INFER,
  MODEL_ID,
  PAID,
  PRICES,
  SECRET,
  SIGNED,
  STREAM,
  errorOf,
  rawRequest,
  until,
  useTestServer,
} from './testServer.js'

describe('the paid routes', () => {
  const server = useTestServer()

  describe('POST /v1/infer', () => {
    it('answers with the result, and with the receipt in a header that covers its bytes', async () => {
      const response = await server.post('/v1/infer', INFER)
      const bytes = new Uint8Array(await response.arrayBuffer())
      const { receipt } = decodeReceiptHeader(response.headers.get('x-opg-receipt'))
      expect(response.status).toBe(200)
      expect(JSON.parse(Buffer.from(bytes).toString())).toMatchObject({ output: { y: { data: [1, 2] } } })
      expect(receipt.responseHash).toBe(responseHash(bytes))
      expect(receipt.fee).toBe(104n)
    })

    it('hands the core the raw bytes, the path, the model and what it can cost', async () => {
      const body = `{ "model":"mirror",\n "input": {"x":[1.50]} }`
      await server.post('/v1/infer', body)
      const [call] = server.service.calls
      expect(Buffer.from(call?.body ?? []).toString()).toBe(body)
      expect(call).toMatchObject({
        path: '/v1/infer',
        modelId: MODEL_ID,
        prices: PRICES,
        signedRequest: toWire(SIGNED),
      })
      expect(call?.maxFeeNeeded).toBe(100n + 1n + 65_536n)
    })

    it('hands the core the voucher as it came, and nothing where none came', async () => {
      await server.post('/v1/infer', INFER, { ...PAID, 'x-opg-voucher': 'eyJ2b3VjaGVyIjoxfQ' })
      await server.post('/v1/infer', INFER)
      expect(server.service.calls.map(({ signedVoucher }) => signedVoucher)).toEqual(['eyJ2b3VjaGVyIjoxfQ', undefined])
    })

    it.each([
      ['voucher-required', 402],
      ['voucher-too-low', 402],
      ['voucher-invalid', 403],
    ] as const)('%s: %d, with the offer where money is missing', async (reason, status) => {
      server.service.answer = refusal(reason, status)
      const response = await server.post('/v1/infer', INFER)
      expect(response.status).toBe(status)
      const body = (await response.json()) as { readonly error: { readonly code: string }; readonly payment?: unknown }
      expect(body.error.code).toBe(reason.toUpperCase().replace('-', '_').replace('-', '_'))
      expect(body.payment !== undefined).toBe(status === 402)
    })

    it('unpaid: 402 with everything that an order needs, and nothing runs', async () => {
      const response = await server.post('/v1/infer', INFER, { 'content-type': 'application/json' })
      expect(response.status).toBe(402)
      expect(await response.json()).toMatchObject({
        error: { code: 'PAYMENT_REQUIRED', field: 'x-opg-request' },
        payment: {
          chainId: '31337',
          escrow: NODE,
          node: NODE,
          modelId: MODEL_ID,
          verifiers: [{ address: NODE, evidenceKeys: [ZERO_BYTES32] }],
          prices: toWire(PRICES),
          maxFee: '65638',
          orders: { minAmount: '5' },
        },
      })
      expect(server.service.calls).toHaveLength(0)
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
      server.service.answer = refusal(reason, status)
      const response = await server.post('/v1/infer', INFER)
      expect(response.headers.has('retry-after')).toBe(reason === 'in-progress' || reason === 'unavailable')
      const body = (await response.clone().json()) as { payment?: unknown }
      expect(body.payment !== undefined).toBe(status === 402)
      expect(await errorOf(response)).toMatchObject({ status, code, message: `refused: ${reason}` })
    })

    it('answers a replay with the stored bytes', async () => {
      const body = Buffer.from('{"stored":true}')
      server.service.answer = {
        status: 'replayed',
        body,
        contentType: 'application/json',
        signedReceipt: receiptOf(body, 1n),
      }
      const response = await server.post('/v1/infer', INFER)
      expect(await response.text()).toBe('{"stored":true}')
      expect(decodeReceiptHeader(response.headers.get('x-opg-receipt')).receipt.responseHash).toBe(responseHash(body))
    })

    it('the core breaks: 500 that tells nothing of the inside', async () => {
      for (const error of [
        new StoreError('x', { cause: new TypeError(SECRET) }),
        new TypeError(`${SECRET} at /home/node/key.pem`),
      ]) {
        server.service.answer = error
        const response = await server.post('/v1/infer', INFER)
        const text = await response.text()
        expect(response.status).toBe(500)
        expect(JSON.parse(text)).toEqual({
          error: { code: 'INTERNAL', message: 'The node failed. Nothing is billed; try again.' },
        })
      }
      expect(server.logged.filter(({ message }) => message.includes('failed inside'))).toHaveLength(2)
      expect(JSON.stringify(server.logged)).not.toContain(SECRET)
    })

    it('the chain is silent: 503, and nothing is said of the order', async () => {
      server.service.answer = new ChainUnavailableError('orders', { cause: new TypeError('http://user:password@rpc') })
      const response = await server.post('/v1/infer', INFER)
      expect(response.headers.get('retry-after')).toBe('5')
      expect(await response.clone().text()).not.toContain('password')
      expect(await errorOf(response)).toMatchObject({ status: 503, code: 'UNAVAILABLE' })
    })
  })

  describe('POST /v1/chat/completions', () => {
    it('buffered: the upstream answer, and its receipt in the header', async () => {
      server.llm.behave(speak(['Hello'], { prompt: 3, completion: 1 }))
      const response = await server.post('/v1/chat/completions', CHAT)
      expect(await response.json()).toMatchObject({ choices: [{ message: { content: 'Hello' } }] })
      expect(decodeReceiptHeader(response.headers.get('x-opg-receipt')).receipt.fee).toBe(104n)
    })

    it('streamed: piece by piece while the upstream still speaks, and the receipt as the last event', async () => {
      let finish = (): void => undefined
      server.llm.behave(async (response) => {
        response.setHeader('content-type', 'text/event-stream')
        response.write('data: {"choices":[{"index":0,"delta":{"content":"first"}}]}\n\n')
        await new Promise<void>((resolve) => {
          finish = resolve
        })
        response.write('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n')
        response.write('data: {"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":1}}\n\n')
        response.end('data: [DONE]\n\n')
      })
      const response = await server.post('/v1/chat/completions', STREAM)
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
      server.llm.behave(speakForEver('word'))
      const client = new AbortController()
      const response = await fetch(`${server.url}/v1/chat/completions`, {
        method: 'POST',
        body: STREAM,
        headers: PAID,
        signal: client.signal,
      })
      await response.body?.getReader().read()
      client.abort()
      await until(() => server.llm.cutOff.length === 1)
      expect(await server.isUp()).toBe(true)
    })

    it('client takes nothing: it counts as gone after a while, and the upstream is stopped', async () => {
      server.llm.behave(speakForEver('word'.repeat(1000)))
      const { port } = server.app.server.address() as AddressInfo
      const socket = connect(port, '127.0.0.1')
      socket.pause()
      socket.write(rawRequest('POST /v1/chat/completions HTTP/1.1', STREAM))
      await until(() => server.llm.cutOff.length === 1)
      socket.destroy()
      expect(await server.isUp()).toBe(true)
    })

    it('streamed replay: the stored bytes, then the receipt', async () => {
      const body = Buffer.from('data: [DONE]\n\n')
      server.service.answer = {
        status: 'replayed',
        body,
        contentType: 'text/event-stream',
        signedReceipt: receiptOf(body, 1n),
      }
      const text = await (await server.post('/v1/chat/completions', STREAM)).text()
      expect(text.startsWith('data: [DONE]\n\nevent: receipt\ndata: ')).toBe(true)
      expect(text.endsWith('\n\n')).toBe(true)
    })

    it('refused before the stream begins: a plain error', async () => {
      server.service.answer = refusal('order-exhausted', 402)
      expect(await errorOf(await server.post('/v1/chat/completions', STREAM))).toMatchObject({
        status: 402,
        code: 'ORDER_EXHAUSTED',
      })
      server.service.answer = new TypeError(SECRET)
      expect(await errorOf(await server.post('/v1/chat/completions', STREAM))).toMatchObject({
        status: 500,
        code: 'INTERNAL',
      })
    })

    it.each([
      [500, 502, 'UPSTREAM_REFUSED'],
      [429, 503, 'UPSTREAM_BUSY'],
    ])('upstream answers with %i: %i %s, without its words', async (upstream, status, code) => {
      server.llm.behave((response) => {
        response.writeHead(upstream).end(`bad key ${SECRET}`)
      })
      for (const body of [CHAT, STREAM]) {
        const response = await server.post('/v1/chat/completions', body)
        expect(await response.clone().text()).not.toContain(SECRET)
        expect(await errorOf(response)).toMatchObject({ status, code })
      }
    })

    it('upstream hangs: 504', async () => {
      server.llm.behave(() => undefined)
      expect(await errorOf(await server.post('/v1/chat/completions', STREAM))).toMatchObject({
        status: 504,
        code: 'UPSTREAM_TIMEOUT',
      })
    })

    it('upstream breaks mid-stream: an error event and no receipt', async () => {
      server.llm.behave((response) => {
        response.end('data: {"choices":[{"index":0,"delta":{"content":"Hel"}}]}\n\ndata: {"choi')
      })
      const text = await (await server.post('/v1/chat/completions', STREAM)).text()
      expect(text).toContain('event: error\ndata: {"error":{"code":"UPSTREAM_MALFORMED"')
      expect(text).not.toContain('event: receipt')
    })
  })
})
