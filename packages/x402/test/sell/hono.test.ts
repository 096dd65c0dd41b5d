import { paymentMiddleware, setSettlementOverrides } from '@x402/hono'
import { responseHash } from '@opg/protocol'
import { Hono, type Handler } from 'hono'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { EscrowUptoOptions } from '../../src/index.js'
import { CAP as PRICE } from './support/shop.js'
import { OPG, SellWorld, refusal, settled, until } from './support/world.js'

const CAP = OPG / 20n
const POST = { method: 'POST' } as const

describe('selling with hono', () => {
  let world: SellWorld
  beforeAll(async () => {
    world = await SellWorld.start()
  })
  afterEach(async () => {
    world.line.moods.lock = 'well'
    world.line.moods.capture = 'well'
    await world.untilAllClosed()
    await world.stopSellers()
  })
  afterAll(() => world.stop())

  async function open(
    handler: Handler,
    options: Partial<EscrowUptoOptions> = {},
  ): Promise<{ readonly url: string; readonly runs: number; readonly outboxSize: number }> {
    const seller = await world.seller(options)
    const app = new Hono()
    let runs = 0
    app.use(paymentMiddleware({ 'POST /answer': seller.route(PRICE) }, seller.resourceServer))
    app.post('/answer', (c, next) => {
      runs += 1
      return handler(c, next) as Response | Promise<Response>
    })
    app.onError((_error, c) => c.json({ error: 'handler' }, 500))
    const url = `${await world.serve(app)}/answer`
    return {
      url,
      get runs() {
        return runs
      },
      get outboxSize() {
        return seller.outboxSize
      },
    }
  }

  it('takes the fee from an unmodified client, returns the rest and gives a receipt', async () => {
    const { url } = await open((c) => {
      setSettlementOverrides(c, { amount: '12345' })
      return c.json({ answer: 42 })
    })
    const before = await world.money()
    const response = await world.payFetch(url, POST)
    const body = await response.text()
    expect([response.status, body]).toEqual([200, '{"answer":42}'])
    const { receipt } = settled(response).opg.receipt ?? expect.fail('no receipt')
    expect(receipt).toMatchObject({ fee: 12_345n, responseHash: responseHash(Buffer.from(body)) })
    await world.untilPaid(before, 12_345n)
  })

  it.each<[string, Handler]>([
    [
      'throws',
      () => {
        throw new Error('by the handler')
      },
    ],
    ['rejects', () => Promise.reject(new Error('by the handler'))],
    ['answers 500', (c) => c.json({ error: 'handler' }, 500)],
    ['answers 500 with a response of its own', () => new Response('by the handler', { status: 500 })],
  ])('whose handler %s gives the whole order back', async (_what, handler) => {
    const shop = await open(handler)
    const [before, opened] = [await world.money(), await world.opened()]
    const response = await world.payFetch(shop.url, POST)
    expect(response.status).toBeGreaterThanOrEqual(400)
    expect(shop.runs).toBe(1)
    expect(await world.opened()).toBe(opened + 1)
    await world.untilGivenBack(before)
  })

  it('whose answer breaks gives the whole order back once its time is over', async () => {
    const shop = await open(() => new Response(brokenBody()), { limits: { answerTimeoutMs: 300 } })
    const before = await world.money()
    expect((await world.payFetch(shop.url, POST)).status).toBe(402)
    expect(shop.runs).toBe(1)
    await world.untilGivenBack(before)
  })

  it('pays for what was computed when the client aborts meanwhile, once', async () => {
    let isOpen = false
    const shop = await open(async (c) => {
      while (!isOpen) await wait(10)
      return c.json({ answer: 42 })
    })
    const before = await world.money()
    const payment = await world.sign(shop.url, POST)
    const abort = new AbortController()
    const answered = world.send(shop.url, payment, { ...POST, signal: abort.signal })
    await until(() => shop.runs === 1, 'the handler runs')
    abort.abort()
    await expect(answered).rejects.toThrow()
    isOpen = true
    await world.untilPaid(before, CAP)
  })

  it('runs two concurrent requests with one header once, and a replay never', async () => {
    const shop = await open((c) => c.json({ answer: 42 }))
    const before = await world.money()
    const payment = await world.sign(shop.url, POST)
    const responses = await Promise.all([1, 2].map(() => world.send(shop.url, payment, POST)))
    expect(responses.map(({ status }) => status).sort()).toEqual([200, 402])
    expect(refusal(await world.send(shop.url, payment, POST))).toBe('payment_already_used')
    expect(shop.runs).toBe(1)
    await world.untilPaid(before, CAP)
  })

  it('runs nothing for a lock that comes too late, and gives it back', async () => {
    const shop = await open((c) => c.json({ answer: 42 }), { limits: { lockTimeoutMs: 500 } })
    const payment = await world.sign(shop.url, POST)
    const [before, opened] = [await world.money(), await world.opened()]
    world.line.moods.lock = 'held'
    expect(refusal(await world.send(shop.url, payment, POST))).toBe('facilitator_timeout')
    world.line.moods.lock = 'well'
    await until(async () => (await world.opened()) === opened + 1, 'it is locked all the same')
    await world.untilGivenBack(before)
    expect(shop.runs).toBe(0)
  })

  it('answers while the facilitator is away, and is paid later', async () => {
    const shop = await open((c) => c.json({ answer: 42 }), { limits: { captureWaitMs: 200 } })
    const before = await world.money()
    world.line.moods.capture = 'broken'
    const response = await world.payFetch(shop.url, POST)
    expect([response.status, settled(response).opg.state]).toEqual([200, 'queued'])
    world.line.moods.capture = 'well'
    await world.untilPaid(before, CAP)
  })
})

function brokenBody(): ReadableStream<Uint8Array> {
  return new ReadableStream({
    pull: () => {
      throw new Error('by the handler')
    },
  })
}
