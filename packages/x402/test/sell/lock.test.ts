import { HTTPFacilitatorClient, type FacilitatorClient } from '@x402/core/server'
import { connectProvider } from '@opg/node'
import { orderId, parseUptoPayment, uptoOrder } from '@opg/protocol'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Offered } from '../../src/index.js'
import { startLine } from './support/line.js'
import { startRpcLine } from './support/rpcLine.js'
import { answer, openShop } from './support/shop.js'
import { OPG, SellWorld, refusal, settled, until } from './support/world.js'

const POST = { method: 'POST' } as const

describe('a lock', () => {
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

  const limits = { lockTimeoutMs: 2_000, confirmTimeoutMs: 1_000, captureWaitMs: 3_000 }

  it.each([
    ['breaks off', 'broken', 'facilitator_failed'],
    ['answers 503', 'busy', 'facilitator_failed'],
    ['locks, and its answer is lost', 'deaf', 'facilitator_failed'],
    ['is too slow, and locks later', 'held', 'facilitator_timeout'],
  ] as const)('whose facilitator %s runs nothing, and is given back', async (_what, mood, reason) => {
    const shop = await openShop(world, answer, { limits })
    const payment = await world.sign(shop.url, POST)
    const [before, opened] = [await world.money(), await world.opened()]
    world.line.moods.lock = mood
    const response = await world.send(shop.url, payment, POST)
    expect(response.status).toBe(402)
    expect(refusal(response)).toBe(reason)
    expect(shop.seller.outboxSize).toBe(1)
    world.line.moods.lock = 'well'
    // Asked again for the same attempt, it opens or is open already, and is released.
    await until(() => shop.seller.outboxSize === 0, 'the facilitator has the release')
    expect(await world.opened()).toBe(opened + 1)
    await world.untilGivenBack(before)
    expect(shop.runs).toBe(0)
    // The payment is used up; a new one buys.
    expect(refusal(await world.send(shop.url, payment, POST))).toBe('payment_already_used')
    expect((await world.payFetch(shop.url, POST)).status).toBe(200)
  })

  it('that one server of the node gives up does not take the order from the other server that has it', async () => {
    const slowLine = await startLine(world.facilitator.url)
    try {
      const slow = await openShop(world, answer, { facilitator: slowLine.url, limits: { lockTimeoutMs: 300 } })
      const gate = { isOpen: false }
      const quick = await openShop(world, async (_request, response) => {
        while (!gate.isOpen) await wait(10)
        response.json({ answer: 42 })
      })
      const payment = await world.sign(slow.url, POST)
      const before = await world.money()
      slowLine.moods.lock = 'held'
      const atSlow = world.send(slow.url, payment, POST)
      await until(() => slowLine.asked.length > 0, 'the slow one asked')
      const atQuick = world.send(quick.url, payment, POST)
      await until(() => quick.runs === 1, 'the quick one computes')
      expect(refusal(await atSlow)).toBe('facilitator_timeout')
      slowLine.moods.lock = 'well'
      await until(() => slow.seller.outboxSize === 0, 'the slow one knows that it is not its own')
      gate.isOpen = true
      expect((await atQuick).status).toBe(200)
      await world.untilPaid(before, OPG / 20n)
      expect(slowLine.asked.map(({ phase }) => phase)).not.toContain('capture')
      expect(slow.runs).toBe(0)
    } finally {
      await slowLine.stop()
    }
  })

  it('whose facilitator cannot be reached asks for nothing and keeps nothing; the payment is good later', async () => {
    const well = new HTTPFacilitatorClient({ url: world.line.url })
    const closed = await startLine(world.line.url)
    await closed.stop()
    const gone = new HTTPFacilitatorClient({ url: closed.url })
    let isGone = true
    const facilitator: FacilitatorClient = {
      getSupported: () => well.getSupported(),
      verify: (...payment) => well.verify(...payment),
      settle: (...payment) => (isGone ? gone : well).settle(...payment),
    }
    const shop = await openShop(world, answer, { facilitator })
    const payment = await world.sign(shop.url, POST)
    expect(refusal(await world.send(shop.url, payment, POST))).toBe('facilitator_unreachable')
    expect([shop.runs, shop.seller.outboxSize]).toEqual([0, 0])
    isGone = false
    expect((await world.send(shop.url, payment, POST)).status).toBe(200)
  })

  it.each([
    ['this order', 'lock_unconfirmed'],
    ['another order, which is closed', 'facilitator_failed'],
  ])('that a lying facilitator made up for %s starts no compute', async (which, reason) => {
    const paid = settled(await world.payFetch((await openShop(world)).url, POST))
    const well = new HTTPFacilitatorClient({ url: world.line.url })
    const known: { offered?: Offered } = {}
    const facilitator: FacilitatorClient = {
      getSupported: () => well.getSupported(),
      verify: (...payment) => well.verify(...payment),
      settle: ({ payload }, { network }) => {
        const { opg: _, ...signed } = payload
        const { offered } = known
        if (offered === undefined) throw new Error('the seller is set up first')
        const { seed, offer } = offered
        const order = uptoOrder(offer, parseUptoPayment(signed).authorization)
        const asked = orderId({ seed, terms: offer.terms, order })
        const opg = { orderId: which === 'this order' ? asked : paid.opg.orderId, state: 'locked' }
        return Promise.resolve({ success: true, transaction: `0x${'44'.repeat(32)}`, network, extra: { opg } })
      },
    }
    const shop = await openShop(world, answer, { facilitator, limits })
    known.offered = shop.seller.offered
    expect(refusal(await world.payFetch(shop.url, POST))).toBe(reason)
    expect(shop.runs).toBe(0)
  })

  it('that the facilitator says it made, and the chain does not have, starts no compute', async () => {
    const rpc = await startRpcLine(world.devnet.rpcUrl)
    const provider = await connectProvider(rpc.url)
    try {
      const shop = await openShop(world, answer, { rpc: provider, limits })
      const payment = await world.sign(shop.url, POST)
      const before = await world.money()
      // An RPC that lags, or lies about the head: the order is not in the block that it names.
      rpc.head = await world.devnet.provider.getBlockNumber()
      expect(refusal(await world.send(shop.url, payment, POST))).toBe('lock_unconfirmed')
      expect(shop.runs).toBe(0)
      await world.untilGivenBack(before)
      rpc.head = undefined
      expect((await world.payFetch(shop.url, POST)).status).toBe(200)
    } finally {
      provider.destroy()
      await rpc.stop()
    }
  })

  it.each(['error', 'garbage', 'hang-up'] as const)(
    'that cannot be looked up (RPC: %s) is unavailable, never paid, and given back',
    async (mood) => {
      const rpc = await startRpcLine(world.devnet.rpcUrl)
      const provider = await connectProvider(rpc.url)
      try {
        const shop = await openShop(world, answer, { rpc: provider, limits })
        const payment = await world.sign(shop.url, POST)
        const before = await world.money()
        rpc.mood = mood
        expect(refusal(await world.send(shop.url, payment, POST))).toBe('unavailable')
        expect(shop.runs).toBe(0)
        await world.untilGivenBack(before)
      } finally {
        provider.destroy()
        await rpc.stop()
      }
    },
  )

  it('waits for as many blocks as the seller wants on it', async () => {
    const shop = await openShop(world, answer, { confirmations: 3, limits })
    const payment = await world.sign(shop.url, POST)
    const before = await world.money()
    expect(refusal(await world.send(shop.url, payment, POST))).toBe('lock_unconfirmed')
    await world.untilGivenBack(before)
    const patient = await openShop(world, answer, { confirmations: 3 })
    const answered = world.payFetch(patient.url, POST)
    const opened = await world.opened()
    await until(async () => (await world.opened()) > opened, 'the order is open')
    expect(patient.runs).toBe(0)
    await world.devnet.mine(2)
    expect((await answered).status).toBe(200)
  })

  it('that a reorg removes after compute began is made again, and paid', async () => {
    const shop = await openShop(world, async (_request, response) => {
      await world.devnet.reorg(1)
      response.json({ answer: 42 })
    })
    const before = await world.money()
    const response = await world.payFetch(shop.url, POST)
    expect(response.status).toBe(200)
    await world.untilPaid(before, BigInt(settled(response).response.amount ?? '0'))
  })

  it('of a payer who emptied the wallet after signing is refused, with the reason', async () => {
    const shop = await openShop(world)
    const payment = await world.sign(shop.url, POST)
    const { token } = world.devnet.contracts
    const all = await token.balanceOf(world.payer.address)
    await (await token.connect(world.payer).transfer(world.node.address, all)).wait()
    expect(refusal(await world.send(shop.url, payment, POST))).toBe('permit2_insufficient_balance')
    expect([shop.runs, shop.seller.outboxSize]).toEqual([0, 0])
    await (await token.connect(world.node).transfer(world.payer.address, all)).wait()
    expect((await world.send(shop.url, payment, POST)).status).toBe(200)
  })

  it('over a deadline beyond what an escrow takes is refused before anyone is asked', async () => {
    const shop = await openShop(world)
    const payment = await world.sign(shop.url, POST)
    const signed = payment.payload as { permit2Authorization: object; signature: string }
    const deadline = (Math.floor(Date.now() / 1_000) + 91 * 86_400).toString()
    const authorization = { ...signed.permit2Authorization, deadline }
    const asked = world.line.asked.length
    const response = await world.send(
      shop.url,
      { ...payment, payload: { ...signed, permit2Authorization: authorization } },
      POST,
    )
    expect(refusal(response)).toBe('claim_by_out_of_range')
    expect(world.line.asked.length).toBe(asked)
  })
})
