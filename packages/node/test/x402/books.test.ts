import Libsql from 'libsql'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { startCli, type RunningCli } from '../cli/testEdge.js'
import { speak } from '../standInLlm.js'
import { CHAT, OPG, openShop, until, type Shop } from './shop.js'
import { pay, signPayment, verdict } from './stockClient.js'

const PATH = '/v1/chat/completions'
const WINDOW_SECONDS = 600

describe('books of stock payments', () => {
  let shop: Shop
  const running: RunningCli[] = []
  let now = Date.now()

  const serve = async (
    books: string,
    options: { readonly clock?: () => number; readonly more?: Readonly<Record<string, string>> } = {},
  ): Promise<string> => {
    const environment = {
      ...shop.environment,
      OPG_NODE_DB: join(shop.folder, books),
      OPG_NODE_REPLAY_SECONDS: String(WINDOW_SECONDS),
      ...options.more,
    }
    const serving = startCli(['serve', '--json'], environment, options)
    running.push(serving)
    return `${((await serving.line()) as { url: string }).url}${PATH}`
  }

  beforeAll(async () => {
    shop = await openShop()
  }, 120_000)
  afterAll(() => shop.stop())
  beforeEach(() => {
    shop.facilitator.mood = 'well'
    shop.llm.behave(speak(['Hello'], { prompt: 5, completion: 1 }))
    shop.llm.seen.length = 0
  })
  afterEach(async () => {
    for (const serving of running.splice(0)) {
      serving.stop()
      await serving.done
    }
  })

  describe('two databases under one node key', () => {
    it.each(['at once', 'one after the other'])('answer one payment once, sent %s', async (when) => {
      const [url, other] = [await serve('a.sqlite'), await serve('b.sqlite')]
      const payer = await shop.payer()
      const payment = await signPayment(payer, url, CHAT)
      const send = async (to: string): Promise<string> => verdict(await pay(to, CHAT, payment))
      const first = send(url)
      if (when !== 'at once') await first
      expect((await Promise.all([first, send(other)])).sort()).toEqual(['200', '402 PAYMENT_ALREADY_USED'])
      expect(shop.llm.seen).toHaveLength(1)
      const [orderId] = await shop.ordersOf(payer.address)
      await until(() => shop.isClosed(orderId))
      expect(await shop.balance(payer.address)).toBeLessThan(OPG)
    })

    it('answer one payment once, though the second cannot hear its facilitator and sees the order open', async () => {
      const [url, other] = [await serve('a.sqlite'), await serve('b.sqlite')]
      const payment = await signPayment(await shop.payer(), url, CHAT)
      shop.llm.behave(async (response, seen) => {
        shop.facilitator.mood = 'deaf'
        expect(await verdict(await pay(other, CHAT, payment))).toBe('503 LOCK_PENDING')
        await speak(['Hello'], { prompt: 5, completion: 1 })(response, seen)
      })
      expect(await verdict(await pay(url, CHAT, payment))).toBe('200')
      expect(shop.llm.seen).toHaveLength(1)
    })
  })

  it('two processes with one database: what one could not finish, the other does', async () => {
    const [url, other] = [await serve('a.sqlite'), await serve('a.sqlite')]
    const payment = await signPayment(await shop.payer(), url, CHAT)
    shop.facilitator.mood = 'deaf' // it locks, and nobody hears of it
    expect(await verdict(await pay(url, CHAT, payment))).toBe('503 LOCK_PENDING')
    shop.facilitator.mood = 'well'
    expect(await verdict(await pay(other, CHAT, payment))).toBe('200')
    expect(shop.llm.seen).toHaveLength(1)
  })

  it('payment whose order the gate does not take, once it is locked: all of its money goes back, by itself', async () => {
    now = Date.now()
    // Any network share is too much for this node, and the chain says what it is only of an order that is open.
    const more = { OPG_NODE_MIN_NET_BPS: '10000' }
    const url = await serve('strict.sqlite', { clock: () => now, more })
    const payer = await shop.payer()
    const payment = await signPayment(payer, url, CHAT)
    expect(await verdict(await pay(url, CHAT, payment))).toMatch(/^402 /)
    expect(shop.llm.seen).toHaveLength(0)
    expect(await shop.balance(payer.address)).toBeLessThan(OPG)
    now += 400_000 // the authorization is over
    await until(async () => (await shop.balance(payer.address)) === OPG)
  })

  it('header rebuilt from calldata, with a guessed body, late: no answer, no word on the guess, and none is kept', async () => {
    now = Date.now()
    const url = await serve('replay.sqlite', { clock: () => now })
    const payer = await shop.payer()
    const payment = await signPayment(payer, url, CHAT)
    const answer = await (await pay(url, CHAT, payment)).text()
    const [orderId] = await shop.ordersOf(payer.address)
    await until(() => shop.isClosed(orderId))

    now += WINDOW_SECONDS * 1000 - 1
    expect(await (await pay(url, CHAT, payment)).text()).toBe(answer)
    now += 1 // the window counts from the answer, and not from its last replay
    const wrong = { ...CHAT, messages: [{ role: 'user', content: 'ho' }] }
    const [late, guessed] = [await pay(url, CHAT, payment), await pay(url, wrong, payment)]
    expect([late.status, guessed.status]).toEqual([409, 409])
    const said = await late.text()
    expect(said).toContain('PAYMENT_ALREADY_USED')
    expect(await guessed.text()).toBe(said)
    expect(shop.llm.seen).toHaveLength(1)

    const books = new Libsql(join(shop.folder, 'replay.sqlite'))
    const row = (): { readonly size: number; readonly receipt: string } =>
      books
        .prepare('SELECT length(body) AS size, signed_receipt AS receipt FROM receipts WHERE order_id = ?')
        .get([orderId]) as { size: number; receipt: string }
    await until(() => row().size === 0)
    expect(row().receipt).toContain(orderId)
    books.close()
    expect(await verdict(await pay(url, CHAT, payment))).toBe('409 PAYMENT_ALREADY_USED')
  })
})
