import { ZERO_ADDRESS, ZERO_BYTES32, toWire } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { NODE, ORDER_ID, refusal } from '../fakeService.js'
import { speak } from '../standInLlm.js'
import { CHAT, MODEL_ID, PRICES, errorOf, until, useTestServer } from './testServer.js'

describe('the routes of orders and of the node', () => {
  const server = useTestServer()

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
      const response = await server.post('/v1/orders', JSON.stringify({ terms, order }))
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
      expect(await errorOf(await server.post('/v1/orders', JSON.stringify(body)))).toMatchObject({ status: 400, field })
    })

    it('takes a slice beside its order, and names the member of it that is wrong', async () => {
      const allocation = { root: ZERO_BYTES32, count: 2, cap: '7', series: '1' }
      const slice = { allocation, slice: { index: 0, node: NODE, evidenceKey: ZERO_BYTES32 }, proof: [ZERO_BYTES32] }
      const routed = { terms: { ...terms, node: ZERO_ADDRESS }, order, slice }
      expect((await server.post('/v1/orders', JSON.stringify(routed))).status).toBe(200)
      for (const [change, field] of [
        [{ proof: ['0x12'] }, 'slice.proof[0]'],
        [{ proof: undefined }, 'slice.proof'],
        [{ allocation: { ...allocation, count: 256 } }, 'slice.allocation.count'],
        [{ slice: { ...slice.slice, index: -1 } }, 'slice.slice.index'],
      ] as const) {
        const body = JSON.stringify({ ...routed, slice: { ...slice, ...change } })
        expect(await errorOf(await server.post('/v1/orders', body))).toMatchObject({ status: 400, field })
      }
    })

    it('refused: its status and reason', async () => {
      server.service.answer = refusal('order-not-open', 402)
      expect(await errorOf(await server.post('/v1/orders', JSON.stringify({ terms, order })))).toMatchObject({
        status: 402,
        code: 'ORDER_NOT_OPEN',
      })
    })
  })

  describe('POST /v1/orders/:orderId/close', () => {
    const close = (orderId: unknown): string =>
      JSON.stringify({ closeRequest: { orderId, expiresAt: 9 }, signature: '0x' })

    it('passes the wish on', async () => {
      const response = await server.post(`/v1/orders/${ORDER_ID}/close`, close(ORDER_ID))
      expect(await response.json()).toEqual({ status: 'closing', orderId: ORDER_ID })
    })

    it.each([undefined, null, 1, 'x', ZERO_BYTES32])(
      'for another order than the path says (%j): 400',
      async (orderId) => {
        expect(await errorOf(await server.post(`/v1/orders/${ORDER_ID}/close`, close(orderId)))).toMatchObject({
          status: 400,
          field: 'closeRequest.orderId',
        })
      },
    )
  })

  describe('books', () => {
    it('shows an order', async () => {
      expect(await (await fetch(`${server.url}/v1/orders/${ORDER_ID}`)).json()).toMatchObject({
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
        const response = await fetch(`${server.url}/v1/orders/${ORDER_ID}/receipts?from=${next}`)
        const page = (await response.json()) as { receipts: { receipt: { seq: string } }[]; next: string | null }
        seqs.push(...page.receipts.map(({ receipt }) => receipt.seq))
        next = page.next
      }
      expect(seqs).toEqual(Array.from({ length: 250 }, (_, i) => String(i)))
    })

    it('from behind the last receipt, or without from', async () => {
      expect(await (await fetch(`${server.url}/v1/orders/${ORDER_ID}/receipts?from=250`)).json()).toMatchObject({
        receipts: [],
        next: null,
      })
      expect(await (await fetch(`${server.url}/v1/orders/${ORDER_ID}/receipts`)).json()).toMatchObject({ next: '100' })
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
      expect(await errorOf(await fetch(`${server.url}${path}`))).toMatchObject({ status, field })
    })
  })

  it('GET /v1/info tells terms, models and prices', async () => {
    expect(await (await fetch(`${server.url}/v1/info`)).json()).toMatchObject({
      node: NODE,
      escrow: NODE,
      chainId: '31337',
      models: [
        { name: 'mirror', path: '/v1/infer', modelId: MODEL_ID, prices: toWire(PRICES) },
        { name: 'chat', path: '/v1/chat/completions' },
      ],
    })
  })

  it('closes gracefully: what runs is answered', async () => {
    let speakNow = (): void => undefined
    server.llm.behave(async (response, seen) => {
      await new Promise<void>((resolve) => {
        speakNow = resolve
      })
      await speak(['Hello'], { prompt: 1, completion: 1 })(response, seen)
    })
    const running = server.post('/v1/chat/completions', CHAT)
    await until(() => server.llm.seen.length === 1)
    const closed = server.app.close()
    speakNow()
    expect((await running).status).toBe(200)
    await closed
    await expect(fetch(`${server.url}/health`)).rejects.toThrow()
  })
})
