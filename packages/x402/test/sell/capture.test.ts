import type { Hex } from '@opg/protocol'
import { HTTPFacilitatorClient, type FacilitatorClient } from '@x402/core/server'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { startFacilitator } from './support/facilitator.js'
import { startSeller } from './support/sellerProcess.js'
import { answer, openShop } from './support/shop.js'
import { OPG, SellWorld, refusal, settled, until } from './support/world.js'

const CAP = OPG / 20n
const POST = { method: 'POST' } as const

describe('a capture', () => {
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

  const limits = { captureWaitMs: 300 }

  it.each([
    ['breaks off', 'broken'],
    ['answers 503', 'busy'],
    ['takes it, and its answer is lost', 'deaf'],
    ['is too slow', 'held'],
  ] as const)('whose facilitator %s does not hold up the answer, and is made later, once', async (_what, mood) => {
    const shop = await openShop(world, answer, { limits })
    const before = await world.money()
    world.line.moods.capture = mood
    const response = await world.payFetch(shop.url, POST)
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ answer: 42 })
    const { response: paid, opg } = settled(response)
    expect(paid).toMatchObject({ success: true, amount: CAP.toString() })
    expect(opg.state).toBe('queued')
    expect(opg.receipt?.receipt.fee).toBe(CAP)
    expect(shop.seller.outboxSize).toBe(1)
    world.line.moods.capture = 'well'
    await until(() => shop.seller.outboxSize === 0, 'the facilitator has it')
    await world.untilPaid(before, CAP)
  })

  it('outlives a facilitator that is stopped after the lock, and started again with its books', async () => {
    const shop = await openShop(
      world,
      async (_request, response) => {
        await world.facilitator.stop()
        response.json({ answer: 42 })
      },
      { limits },
    )
    const before = await world.money()
    const response = await world.payFetch(shop.url, POST)
    expect([response.status, settled(response).opg.state]).toEqual([200, 'queued'])
    world.facilitator = await startFacilitator(world.devnet, join(world.directory, 'books.db'))
    world.line.upstream = world.facilitator.url
    await world.untilPaid(before, CAP)
    await until(() => shop.seller.outboxSize === 0, 'the outbox is empty')
  })

  it('of a failed handler is a release, and outlives the facilitator too', async () => {
    const shop = await openShop(
      world,
      (_request, response) => {
        response.status(500).end()
      },
      { limits },
    )
    const before = await world.money()
    world.line.moods.capture = 'broken'
    const response = await world.payFetch(shop.url, POST)
    expect([response.status, settled(response).opg.state]).toEqual([500, 'queued'])
    expect(settled(response).response.amount).toBe('0')
    world.line.moods.capture = 'well'
    await world.untilGivenBack(before)
    expect(shop.runs).toBe(1)
  })

  it('that the facilitator refuses for good is no answer, and the order goes back', async () => {
    const well = new HTTPFacilitatorClient({ url: world.line.url })
    const facilitator: FacilitatorClient = {
      getSupported: () => well.getSupported(),
      verify: (...payment) => well.verify(...payment),
      settle: (payment, requirements) => {
        const { opg } = payment.payload as { readonly opg: { readonly phase: string; readonly evidence: string } }
        const isFee = opg.phase === 'capture' && requirements.amount !== '0'
        const spoilt = { ...opg, evidence: `0x${'55'.repeat(64)}1b` }
        return well.settle({ ...payment, payload: { ...payment.payload, opg: isFee ? spoilt : opg } }, requirements)
      },
    }
    const shop = await openShop(world, answer, { facilitator })
    const before = await world.money()
    const response = await world.payFetch(shop.url, POST)
    expect(response.status).toBe(402)
    expect(await response.text()).not.toContain('42')
    expect(refusal(response)).toBe('evidence_invalid')
    await world.untilGivenBack(before)
    expect(shop.runs).toBe(1)
  })

  it('that the key cannot sign is no answer, and the order goes back once it can', async () => {
    let isSigning = true
    const shop = await openShop(
      world,
      (_request, response) => {
        isSigning = false
        response.json({ answer: 42 })
      },
      {
        signer: {
          getAddress: () => world.node.getAddress(),
          signTypedData: async (...data) => {
            if (!isSigning) throw new Error('the service that keeps the key is away')
            return await world.node.signTypedData(...data)
          },
        },
      },
    )
    const before = await world.money()
    const response = await world.payFetch(shop.url, POST)
    expect(response.status).toBe(402)
    expect(await response.text()).not.toContain('42')
    expect(refusal(response)).toBe('seller_failed')
    isSigning = true
    await world.untilGivenBack(before)
  })

  it('that would come too near to the end of the order is no answer, and nothing is charged', async () => {
    let skewMs = 0
    const shop = await openShop(
      world,
      (_request, response) => {
        skewMs = 3_600_000 + 300_000
        response.json({ answer: 42 })
      },
      { now: () => Date.now() + skewMs },
    )
    const before = await world.money()
    const response = await world.payFetch(shop.url, POST)
    expect(response.status).toBe(402)
    expect(refusal(response)).toBe('answer_too_late')
    await world.untilGivenBack(before)
  })

  describe('of a seller that is killed', () => {
    const outboxPath = (): string => join(world.directory, 'outbox.jsonl')

    it('after it answered is made by the next process, once', async () => {
      const before = await world.money()
      world.line.moods.capture = 'held'
      const seller = await startSeller(world, { outboxPath: outboxPath(), handler: 'answers' })
      const response = await world.payFetch(seller.url, POST)
      expect([response.status, settled(response).opg.state]).toEqual([200, 'queued'])
      await seller.kill()
      world.line.moods.capture = 'broken'
      await wait(50)
      world.line.moods.capture = 'well'
      expect((await world.money()).earned).toBe(before.earned)
      const next = await startSeller(world, { outboxPath: outboxPath(), handler: 'answers' })
      await world.untilPaid(before, CAP)
      await until(async () => (await keptOrders()).size === 0, 'its outbox is empty')
      await next.kill()
    })

    it('while its handler runs is a release by the next process', async () => {
      const before = await world.money()
      const seller = await startSeller(world, { outboxPath: outboxPath(), handler: 'hangs' })
      const answered = world.payFetch(seller.url, POST).catch(() => 'broken')
      await seller.said('handling')
      await seller.kill()
      expect(await answered).toBe('broken')
      expect((await world.money()).payer).toBe(before.payer - CAP)
      const next = await startSeller(world, { outboxPath: outboxPath(), handler: 'answers' })
      await world.untilGivenBack(before)
      await next.kill()
    })

    it('while it asked for the lock is a release by the next process', async () => {
      const before = await world.money()
      const opened = await world.opened()
      const seller = await startSeller(world, { outboxPath: outboxPath(), handler: 'answers' })
      const payment = await world.sign(seller.url, POST)
      const asked = world.line.asked.length
      world.line.moods.lock = 'held'
      const answered = world.send(seller.url, payment, POST).catch(() => 'broken')
      await until(() => world.line.asked.length > asked, 'the lock was asked for')
      await seller.kill()
      expect(await answered).toBe('broken')
      world.line.moods.lock = 'well'
      await until(async () => (await world.opened()) === opened + 1, 'the order is open')
      const next = await startSeller(world, { outboxPath: outboxPath(), handler: 'answers' })
      await world.untilGivenBack(before)
      await next.kill()
    })

    async function keptOrders(): Promise<ReadonlySet<Hex>> {
      const lines = (await readFile(outboxPath(), 'utf8')).split('\n').filter((line) => line !== '')
      const kept = new Set<Hex>()
      for (const line of lines) {
        const { orderId, step } = JSON.parse(line) as { orderId: Hex; step?: unknown }
        if (step === undefined) kept.delete(orderId)
        else kept.add(orderId)
      }
      return kept
    }
  })

  // The last one: it moves the chain's time, and with it all that comes after.
  it('that nobody takes until the order ends is given up, and the payer gets all back without a hand', async () => {
    let skewMs = 0
    const shop = await openShop(world, answer, { limits, now: () => Date.now() + skewMs })
    const before = await world.money()
    world.line.moods.capture = 'broken'
    expect((await world.payFetch(shop.url, POST)).status).toBe(200)
    skewMs = 2 * 3_600_000
    await until(() => shop.seller.outboxSize === 0, 'the outbox gave up')
    expect(world.logged.some((line) => line.includes('claimBy has come'))).toBe(true)
    await world.devnet.increaseTime(2 * 3_600)
    await world.untilGivenBack(before)
  })
})
