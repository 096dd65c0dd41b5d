import { setSettlementOverrides } from '@x402/express'
import type { RequestHandler } from 'express'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openShop } from './support/shop.js'
import { OPG, SellWorld, refusal, settled, until } from './support/world.js'

const CAP = OPG / 20n
const POST = { method: 'POST' } as const

describe('a sale', () => {
  let world: SellWorld
  beforeAll(async () => {
    world = await SellWorld.start()
  })
  afterEach(async () => {
    world.line.moods.lock = 'well'
    await world.untilAllClosed()
    await world.stopSellers()
  })
  afterAll(() => world.stop())

  describe('whose handler fails', () => {
    const failures: readonly [string, RequestHandler, number | 'broken'][] = [
      [
        'throws',
        () => {
          throw new Error('by the handler')
        },
        500,
      ],
      ['rejects', () => Promise.reject(new Error('by the handler')), 500],
      [
        'calls next with an error',
        (_request, _response, next) => {
          next(new Error('by the handler'))
        },
        500,
      ],
      [
        'answers 500 by status',
        (_request, response) => {
          response.status(500).json({ error: 'by the handler' })
        },
        500,
      ],
      [
        'answers 500 by writeHead',
        (_request, response) => {
          response.writeHead(500, { 'content-type': 'text/plain' }).end('by the handler')
        },
        500,
      ],
      [
        'answers 503 by sendStatus',
        (_request, response) => {
          response.sendStatus(503)
        },
        503,
      ],
      [
        'writes and then throws',
        (_request, response) => {
          response.write('half an answer')
          throw new Error('by the handler')
        },
        500,
      ],
      [
        'destroys the response',
        (_request, response) => {
          response.destroy()
        },
        'broken',
      ],
    ]

    it.each(failures)('%s: gives the whole order back', async (_what, handler, status) => {
      const shop = await openShop(world, handler)
      const [before, opened] = [await world.money(), await world.opened()]
      const answered = world.payFetch(shop.url, POST)
      if (status === 'broken') await expect(answered).rejects.toThrow()
      else {
        const response = await answered
        expect(response.status).toBe(status)
        expect(settled(response)).toMatchObject({ response: { success: true, amount: '0' } })
        expect(settled(response).opg.receipt).toBeUndefined()
      }
      expect(shop.runs).toBe(1)
      expect(await world.opened()).toBe(opened + 1)
      await world.untilGivenBack(before)
      expect(shop.seller.outboxSize).toBe(0)
    })
  })

  describe('whose handler hangs', () => {
    it('gives the order back once its time is over, while the client still waits', async () => {
      const shop = await openShop(world, () => undefined, { limits: { answerTimeoutMs: 300 } })
      const before = await world.money()
      const abort = new AbortController()
      const answered = world.send(shop.url, await world.sign(shop.url, POST), { ...POST, signal: abort.signal })
      await until(() => shop.runs === 1, 'the handler runs')
      await world.untilGivenBack(before)
      abort.abort()
      await expect(answered).rejects.toThrow()
      expect(shop.seller.outboxSize).toBe(0)
    })

    it('and answers after all: too late, and nothing is charged', async () => {
      const before = await world.money()
      const shop = await openShop(
        world,
        async (_request, response) => {
          await world.untilGivenBack(before)
          response.json({ answer: 42 })
        },
        { limits: { answerTimeoutMs: 300 } },
      )
      const response = await world.payFetch(shop.url, POST)
      expect(response.status).toBe(402)
      expect(await response.text()).not.toContain('42')
      expect(refusal(response)).toBe('answer_too_late')
      await world.untilGivenBack(before)
    })
  })

  describe('whose client aborts', () => {
    it('before the lock: nothing is computed, and the money returns', async () => {
      const shop = await openShop(world)
      const payment = await world.sign(shop.url, POST)
      const before = await world.money()
      const opened = await world.opened()
      world.line.moods.lock = 'held'
      const asked = world.line.asked.length
      const abort = new AbortController()
      const answered = world.send(shop.url, payment, { ...POST, signal: abort.signal })
      await until(() => world.line.asked.length > asked, 'the lock was asked for')
      abort.abort()
      await expect(answered).rejects.toThrow()
      world.line.moods.lock = 'well'
      await until(async () => (await world.opened()) === opened + 1, 'the order is open')
      await world.untilGivenBack(before)
      expect(shop.runs).toBe(0)
    })

    it('while the handler runs: what was computed is paid, once', async () => {
      let started = false
      const gate = { open: false }
      const shop = await openShop(world, async (_request, response) => {
        started = true
        while (!gate.open) await wait(10)
        setSettlementOverrides(response, { amount: '1000' })
        response.json({ answer: 42 })
      })
      const before = await world.money()
      const payment = await world.sign(shop.url, POST)
      const abort = new AbortController()
      const answered = world.send(shop.url, payment, { ...POST, signal: abort.signal })
      await until(() => started, 'the handler runs')
      abort.abort()
      await expect(answered).rejects.toThrow()
      gate.open = true
      await world.untilPaid(before, 1_000n)
      expect(shop.runs).toBe(1)
    })

    it('while the answer arrives: it is paid, once', async () => {
      const shop = await openShop(world, (_request, response) => {
        response.send(Buffer.alloc(5_000_000))
      })
      const before = await world.money()
      const response = await world.payFetch(shop.url, POST)
      await response.body?.cancel()
      await world.untilPaid(before, CAP)
      expect(shop.runs).toBe(1)
    })
  })
})
