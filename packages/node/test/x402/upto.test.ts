import { decodeReceiptEvent, decodeReceiptHeader, parseSettledExtra, responseHash } from '@opg/protocol'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startCli, type RunningCli } from '../cli/testEdge.js'
import { event, speak } from '../standInLlm.js'
import { CHAT, OPG, TEXT, openShop, until, type Shop } from './shop.js'
import { JSON_TYPE, askFor, pay, settledOf, signPayment, stockFetch, verdict } from './stockClient.js'

const USAGE = { prompt: 5, completion: 2 }
const post = (body: unknown): RequestInit => ({ method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) })

describe('stock upto clients at a node', () => {
  let shop: Shop
  let serving: RunningCli
  let url: string
  const chat = (): string => `${url}/v1/chat/completions`
  const infer = (): string => `${url}/v1/infer`
  const orderOf = (response: Response): string => parseSettledExtra((settledOf(response).extra ?? {})['opg']).orderId

  beforeAll(async () => {
    shop = await openShop()
    serving = startCli(['serve', '--json'], shop.environment)
    url = ((await serving.line()) as { url: string }).url
    // What the facilitator takes is asked once the node serves.
    await until(async () => (await askFor(infer(), TEXT)).extensions !== undefined)
  }, 120_000)
  afterAll(async () => {
    serving.stop()
    await serving.done
    await shop.stop()
  })
  beforeEach(() => {
    shop.facilitator.mood = 'well'
    shop.llm.behave(speak(['Hello', ' there'], USAGE))
    shop.llm.seen.length = 0
  })

  it('see the same offer for the same request, at any time, under both schemes', async () => {
    const [first, again] = [await askFor(infer(), TEXT), await askFor(infer(), TEXT)]
    expect(again).toEqual(first)
    expect(first).toMatchObject({ x402Version: 2, resource: { url: infer() } })
    const { deployment } = shop.devnet
    expect(first.accepts.map(({ scheme }) => scheme)).toEqual(['work-order', 'upto'])
    for (const { network, asset, payTo, amount } of first.accepts) {
      expect({ network, asset, payTo, amount }).toEqual({
        network: 'eip155:31337',
        asset: deployment.token,
        payTo: deployment.escrow,
        amount: '1021000000000000',
      })
    }
    const response = await fetch(infer(), post(TEXT))
    expect(await response.json()).toMatchObject({
      error: { code: 'PAYMENT_REQUIRED' },
      payment: { maxFee: '1021000000000000' },
      x402Version: 2,
      accepts: first.accepts,
    })
  })

  it('pay with one signature, get the answer with its receipt, and the rest back', async () => {
    const payer = await shop.payer()
    const response = await stockFetch(payer).fetch(chat(), post(CHAT))
    const body = new Uint8Array(await response.arrayBuffer())
    expect(response.status).toBe(200)
    expect(Buffer.from(body).toString()).toContain('Hello there')
    const { receipt } = decodeReceiptHeader(response.headers.get('x-opg-receipt'))
    expect(receipt.responseHash).toBe(responseHash(body))
    const settled = settledOf(response)
    const extra = parseSettledExtra((settled.extra ?? {})['opg'])
    expect(settled).toMatchObject({ success: true, payer: payer.address, amount: receipt.fee.toString() })
    expect(extra).toMatchObject({ state: 'queued', orderId: receipt.orderId, receipt: { receipt } })
    expect(await shop.devnet.provider.getTransactionReceipt(settled.transaction)).toMatchObject({ status: 1 })
    await until(() => shop.isClosed(receipt.orderId))
    expect(await shop.balance(payer.address)).toBe(OPG - receipt.fee)
  })

  it('replay of a payment header, at once and after the close: the same answer, and it is paid once', async () => {
    const payer = await shop.payer()
    const payment = await signPayment(payer, infer(), TEXT)
    const first = await pay(infer(), TEXT, payment)
    const answer = await first.text()
    const { fee, orderId } = decodeReceiptHeader(first.headers.get('x-opg-receipt')).receipt
    expect(await (await pay(infer(), TEXT, payment)).text()).toBe(answer)
    await until(() => shop.isClosed(orderId))
    const late = await pay(infer(), TEXT, payment)
    expect(await late.text()).toBe(answer)
    expect(settledOf(late)).toMatchObject({ success: true, amount: fee.toString() })
    expect(await shop.balance(payer.address)).toBe(OPG - fee)
  })

  it("somebody else's payment, rebuilt from what is public, without the signature: no answer, and its order stays as it is", async () => {
    const payer = await shop.payer()
    const payment = await signPayment(payer, chat(), CHAT)
    const answered = await pay(chat(), CHAT, payment)
    expect(answered.status).toBe(200)
    const forged = { ...payment, payload: { ...payment.payload, signature: `0x${'22'.repeat(64)}1b` } }
    expect(await verdict(await pay(chat(), CHAT, forged))).toBe('402 PAYMENT_MISMATCH')

    const unpaid = await signPayment(payer, chat(), CHAT)
    const stolen = { ...unpaid, payload: { ...unpaid.payload, signature: payment.payload['signature'] } }
    expect(await verdict(await pay(chat(), CHAT, stolen))).toBe('402 PAYMENT_MISMATCH')
    expect(await verdict(await pay(chat(), CHAT, unpaid))).toBe('200') // it was not bound by the forgery
    expect(shop.llm.seen).toHaveLength(2)
  })

  it('one payment for two requests: the second is a conflict, and is not computed', async () => {
    const payer = await shop.payer()
    const other = { ...CHAT, messages: [{ role: 'user', content: 'ho' }] }
    const payment = await signPayment(payer, chat(), CHAT)
    expect(await verdict(await pay(chat(), CHAT, payment))).toBe('200')
    expect(await verdict(await pay(chat(), other, payment))).toBe('409 PAYMENT_ALREADY_USED')
    expect(shop.llm.seen).toHaveLength(1)
  })

  it('two first requests at once with one header: computed once, charged once', async () => {
    const payer = await shop.payer()
    const payment = await signPayment(payer, chat(), CHAT)
    const answers = await Promise.all([pay(chat(), CHAT, payment), pay(chat(), CHAT, payment)])
    const verdicts = await Promise.all(answers.map(verdict))
    expect(verdicts).toContain('200')
    expect(['200', '409 IN_PROGRESS']).toEqual(expect.arrayContaining(verdicts))
    expect(shop.llm.seen).toHaveLength(1)
  })

  it('two payments over one balance: one is served, the other is not', async () => {
    const payer = await shop.payer()
    const { token } = shop.devnet.contracts
    const amount = (await askFor(infer(), TEXT)).accepts[0]?.amount ?? ''
    await (await token.connect(payer).transfer(shop.devnet.wallets[0].address, OPG - BigInt(amount))).wait()
    const payments = [await signPayment(payer, infer(), TEXT), await signPayment(payer, infer(), TEXT)]
    const verdicts = await Promise.all(payments.map(async (payment) => verdict(await pay(infer(), TEXT, payment))))
    expect(verdicts.sort()).toEqual(['200', '402 LOCK_REFUSED'])
  })

  it('stream: the client gets token by token, and the receipt as the last event', async () => {
    const payer = await shop.payer()
    let goOn = (): void => undefined
    const waited = new Promise<void>((resolve) => (goOn = resolve))
    shop.llm.behave(async (response) => {
      response.setHeader('content-type', 'text/event-stream')
      response.write(event({ choices: [{ index: 0, delta: { content: 'first' }, finish_reason: null }] }))
      await waited
      response.write(event({ choices: [{ index: 0, delta: { content: 'second' }, finish_reason: 'stop' }] }))
      response.write(event({ choices: [], usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 } }))
      response.end('data: [DONE]\n\n')
    })
    const response = await stockFetch(payer).fetch(chat(), post({ ...CHAT, stream: true }))
    expect(settledOf(response)).toMatchObject({ success: true, extra: { opg: { state: 'locked' } } })
    const reader = (response.body ?? new ReadableStream<Uint8Array>()).getReader()
    let text = Buffer.from((await reader.read()).value ?? []).toString()
    expect(text).toContain('first')
    expect(text).not.toContain('second')
    goOn()
    for (let part = await reader.read(); !part.done; part = await reader.read())
      text += Buffer.from(part.value).toString()
    const [sent = '', last = ''] = text.split('event: receipt\ndata: ')
    const { receipt } = decodeReceiptEvent(last.trim())
    expect(receipt.responseHash).toBe(responseHash(Buffer.from(sent)))
    await until(() => shop.isClosed(receipt.orderId))
    expect(await shop.balance(payer.address)).toBe(OPG - receipt.fee)
  })

  it('stream: a client that goes away is charged what it was sent, and gets the rest back', async () => {
    const payer = await shop.payer()
    shop.llm.behave((response) => {
      response.setHeader('content-type', 'text/event-stream')
      response.write(event({ choices: [{ index: 0, delta: { content: 'first' }, finish_reason: null }] }))
    })
    const body = { ...CHAT, stream: true }
    const payment = await signPayment(payer, chat(), body)
    const gone = new AbortController()
    const response = await pay(chat(), body, payment, { signal: gone.signal })
    const orderId = orderOf(response)
    await response.body?.getReader().read()
    gone.abort()
    await until(() => shop.isClosed(orderId))
    const charged = OPG - (await shop.balance(payer.address))
    expect(charged).toBeGreaterThan(0n)
    expect(charged).toBeLessThan(BigInt(payment.accepted.amount) / 2n)
  })

  it.each([CHAT, { ...CHAT, stream: true }])(
    'client that goes away during the lock: nothing is computed, and the same header is good later: %j',
    async (body) => {
      const payer = await shop.payer()
      const payment = await signPayment(payer, chat(), body)
      const gone = new AbortController()
      shop.facilitator.beforeAnswer = () => {
        gone.abort()
      }
      await expect(pay(chat(), body, payment, { signal: gone.signal })).rejects.toThrow()
      shop.facilitator.beforeAnswer = undefined
      const [orderId] = await shop.ordersOf(payer.address)
      await until(async () => (await fetch(`${url}/v1/orders/${orderId}`)).ok)
      expect(shop.llm.seen).toHaveLength(0)
      expect(await verdict(await pay(chat(), body, payment))).toBe('200')
      expect(shop.llm.seen).toHaveLength(1)
    },
  )

  it.each([
    ['refuses', 400, 502],
    ['is busy', 503, 503],
    ['breaks', 500, 502],
  ])('upstream %s: all of the money goes back, by itself', async (_, upstream, status) => {
    const payer = await shop.payer()
    shop.llm.behave((response) => {
      response.writeHead(upstream).end('{}')
    })
    const payment = await signPayment(payer, chat(), CHAT)
    const response = await pay(chat(), CHAT, payment)
    expect(response.status).toBe(status)
    expect(settledOf(response)).toMatchObject({ success: false, amount: '0', errorReason: 'work_failed' })
    expect(await shop.balance(payer.address)).toBeLessThan(OPG)
    await until(() => shop.isClosed(orderOf(response)))
    expect(await shop.balance(payer.address)).toBe(OPG)
    expect(await verdict(await pay(chat(), CHAT, payment))).toMatch(/^402 ORDER_CLOS/)
  })

  describe('a payment that is altered in one field', () => {
    const alter = (path: string, value: unknown) => (payment: object) => {
      const copy = JSON.parse(JSON.stringify(payment)) as Record<string, unknown>
      const keys = path.split('.')
      const last = keys.pop() ?? ''
      const parent = keys.reduce<Record<string, unknown>>((at, key) => at[key] as Record<string, unknown>, copy)
      parent[last] = value
      return copy
    }
    const ZERO = `0x${'00'.repeat(20)}`
    it.each([
      ['x402Version', 1, 400, 'INVALID_INPUT'],
      ['accepted.amount', '1', 402, 'PAYMENT_MISMATCH'],
      ['accepted.payTo', ZERO, 402, 'PAYMENT_MISMATCH'],
      ['accepted.asset', ZERO, 402, 'PAYMENT_MISMATCH'],
      ['accepted.network', 'eip155:1', 402, 'PAYMENT_MISMATCH'],
      ['accepted.scheme', 'exact', 402, 'PAYMENT_MISMATCH'],
      ['accepted.maxTimeoutSeconds', 9_999, 402, 'PAYMENT_MISMATCH'],
      ['accepted.extra.offer.claimWindow', 1, 402, 'PAYMENT_MISMATCH'],
      ['accepted.extra.offer.terms.node', ZERO, 402, 'PAYMENT_MISMATCH'],
      ['accepted.extra.more', {}, 402, 'PAYMENT_MISMATCH'],
      ['payload.opg', { phase: 'lock' }, 400, 'INVALID_INPUT'],
      ['payload.phase', 'lock', 400, 'INVALID_INPUT'],
      ['payload.signature', `0x${'11'.repeat(65)}`, 402, 'PAYMENT_MISMATCH'],
      ['payload.signature', '0x', 400, 'INVALID_INPUT'],
      ['payload.permit2Authorization.from', '0x1111111111111111111111111111111111111111', 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.nonce', '7', 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.nonce', 7, 400, 'INVALID_INPUT'],
      ['payload.permit2Authorization.deadline', '1', 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.deadline', '99999999999', 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.spender', ZERO, 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.permitted.amount', '1', 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.permitted.token', ZERO, 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.witness.to', ZERO, 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.witness.facilitator', ZERO, 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.witness.validAfter', '99999999999', 402, 'PAYMENT_MISMATCH'],
      ['payload.permit2Authorization.witness.validAfter', '1', 402, 'PAYMENT_MISMATCH'],
    ])('%s = %j: %i %s, nothing is computed or locked', async (path, value, status, code) => {
      const payer = shop.devnet.wallets[5]
      const payment = await signPayment(payer, chat(), CHAT)
      const header = Buffer.from(JSON.stringify(alter(path, value)(payment))).toString('base64')
      const response = await pay(chat(), CHAT, header)
      expect(response.headers.has('payment-required')).toBe(status === 402)
      expect(response.headers.has('payment-response')).toBe(false)
      expect(await verdict(response)).toBe(`${String(status)} ${code}`)
      expect(shop.llm.seen).toHaveLength(0)
    })
  })

  it.each([
    ['no base64', '{"x402Version":2}'],
    ['base64 of no JSON', 'aGVsbG8='],
    ['a list', Buffer.from('[]').toString('base64')],
    ['too deep', Buffer.from('['.repeat(5_000)).toString('base64')],
    ['too long', 'A'.repeat(16_388)],
  ])('header with %s: 400 that names it', async (_, header) => {
    const response = await pay(chat(), CHAT, header)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ error: { code: 'INVALID_INPUT', field: 'payment-signature' } })
  })

  describe('when the facilitator fails', () => {
    it.each(['down', 'lying', 'slow'] as const)(
      '%s: nothing is computed, the client may come back, and is served then, and charged once',
      async (mood) => {
        const payer = await shop.payer()
        const payment = await signPayment(payer, chat(), CHAT)
        shop.facilitator.mood = mood
        const first = await pay(chat(), CHAT, payment)
        expect(first.headers.has('retry-after')).toBe(true)
        expect(await verdict(first)).toBe('503 LOCK_PENDING')
        expect(shop.llm.seen).toHaveLength(0)
        shop.facilitator.mood = 'well'
        const response = await pay(chat(), CHAT, payment)
        expect(response.status).toBe(200)
        expect(shop.llm.seen).toHaveLength(1)
        await until(() => shop.isClosed(orderOf(response)))
        expect(await shop.balance(payer.address)).toBe(OPG - BigInt(settledOf(response).amount ?? ''))
      },
      60_000,
    )

    it('its answer is lost after it locked: it is asked again, and the request is served', async () => {
      const payer = await shop.payer()
      const payment = await signPayment(payer, chat(), CHAT)
      shop.facilitator.mood = 'deaf'
      shop.facilitator.beforeAnswer = () => {
        shop.facilitator.mood = 'well'
      }
      expect(await verdict(await pay(chat(), CHAT, payment))).toBe('200')
      shop.facilitator.beforeAnswer = undefined
      expect(shop.llm.seen).toHaveLength(1)
    })

    it("its answers are lost again and again: an open order is nobody's word, and is served once there is one", async () => {
      const payer = await shop.payer()
      const payment = await signPayment(payer, chat(), CHAT)
      shop.facilitator.mood = 'deaf'
      expect(await verdict(await pay(chat(), CHAT, payment))).toBe('503 LOCK_PENDING')
      expect(await shop.balance(payer.address)).toBeLessThan(OPG)
      expect(shop.llm.seen).toHaveLength(0)
      shop.facilitator.mood = 'well'
      expect(await verdict(await pay(chat(), CHAT, payment))).toBe('200')
      expect(shop.llm.seen).toHaveLength(1)
    })
  })
})
