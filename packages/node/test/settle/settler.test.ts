import { type Hex, requestHash } from '@opg/protocol'
import { setUpNode } from '../support/fixture.js'
import { BODY, PATH } from '../support/world.js'
import { describe, expect, it } from 'vitest'

const FOREVER = { signal: new AbortController().signal }

describe('the settler', () => {
  const t = setUpNode({ isolated: true })

  describe('a batch', () => {
    it('settles many orders in one transaction and books what the events say', async () => {
      const orders = [await t.used(1), await t.used(2), await t.used(3)]
      const report = await t.node.settler.settleOnce({ force: true })
      expect(report).toMatchObject({ status: 'done', submitted: [{ kind: 'settle' }] })
      await t.node.settler.settleAll(FOREVER)
      for (const [i, order] of orders.entries()) {
        const total = 15n * BigInt(i + 1)
        expect(await t.chainState(order)).toEqual({ released: total, closed: false })
        expect(await t.node.store.order(order.orderId)).toMatchObject({ released: total, inFlight: false })
      }
      expect(await t.node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [] })
    })

    it('takes no more rows than the policy allows, nor more transfers than the chain does (F15)', async () => {
      const databasePath = t.world.freshBooks()
      await t.withNode({ databasePath, settle: { batchSize: 2 } }, async (small) => {
        for (let i = 0; i < 3; i++) await t.used(1, { at: small })
        const report = await small.settler.settleOnce({ force: true })
        expect(report).toMatchObject({
          submitted: [{ settlements: { length: 2 } }, { settlements: { length: 1 } }],
        })
        await small.settler.settleAll(FOREVER)
      })
      await t.withNode({ databasePath, settle: { maxTransfersPerBatch: 2 } }, async (narrow) => {
        for (const order of [await t.used(1, { at: narrow }), await t.used(1, { at: narrow })]) {
          await narrow.service.requestClose(t.world.signClose(order))
        }
        const report = await narrow.settler.settleOnce({ force: true })
        // One refund each, and room for a claim.
        expect(report).toMatchObject({ submitted: [{ settlements: { length: 1 } }, { settlements: { length: 1 } }] })
      })
    })

    it('sends orders of different terms in transactions of their own', async () => {
      await t.used(1)
      await t.used(1, { terms: { evidenceKey: `0x${t.world.node.address.slice(2).toLowerCase().padStart(64, '0')}` } })
      const report = await t.node.settler.settleOnce({ force: true })
      expect(report).toMatchObject({ submitted: { length: 2 } })
    })

    it('settles the others when one order comes too late', async () => {
      const now = await t.world.devnet.now()
      const [late, good] = [await t.used(1, { order: { claimBy: now + 2_000 } }), await t.used(1)]
      await t.world.devnet.setAutomine(false)
      expect(await t.node.settler.settleOnce({ force: true })).toMatchObject({ pending: 1 })
      await t.world.devnet.increaseTime(2_100) // mines it, after claimBy
      await t.node.settler.settleOnce()
      expect((await t.chainState(good)).released).toBe(15n)
      expect((await t.chainState(late)).released).toBe(0n)
      expect(await t.node.store.order(late.orderId)).toMatchObject({ blocked: 'late', released: 0n, inFlight: false })
      expect(await t.node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [] })
    })

    it('never sends what the chain would pass over: closed behind its back, or past claimBy', async () => {
      const now = await t.world.devnet.now()
      const [released, expired] = [await t.used(1), await t.used(1, { order: { claimBy: now + 2_000 } })]
      await (await t.world.devnet.contracts.escrow.connect(t.world.node).release(released.terms, released.order)).wait()
      await t.world.devnet.increaseTime(2_000)
      expect(await t.node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [], pending: 0 })
      expect((await t.node.store.order(released.orderId))?.chain).toBe('closed')
      expect((await t.node.status()).totals.unsettled).toBe(30n)
      expect(await t.chainState(expired)).toEqual({ released: 0n, closed: false })
    })
  })

  describe('closing', () => {
    it('closes an order for one request once it is done, and gives the rest back', async () => {
      const pinned = requestHash(PATH, new TextEncoder().encode(BODY))
      const job = { requester: t.world.requester.address as Hex, requestHash: pinned }
      const order = await t.used(1, { order: { job } })
      const { token } = t.world.devnet.contracts
      const before = await token.balanceOf(t.world.payer.address)
      await t.node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).closed).toBe(true)
      expect((await token.balanceOf(t.world.payer.address)) - before).toBe(985n)
      expect(await t.node.store.order(order.orderId)).toMatchObject({
        chain: 'closed',
        released: 15n,
        closing: 'single',
      })
    })

    it('closes an order that is used up, and leaves one that is not', async () => {
      const [full, half] = [await t.used(2, { order: { amount: 115n } }), await t.used(1)]
      const last = await t.node.service.serve(
        t.world.call(full, {
          index: 2n,
          maxFee: 85n,
          run: () => Promise.resolve({ usage: { inputTokens: 0n, outputTokens: 999n }, contentType: 'a/b' }),
        }),
      )
      expect(last.status).toBe('served')
      await t.node.settler.settleAll(FOREVER)
      expect((await t.chainState(full)).closed).toBe(true)
      expect((await t.chainState(half)).closed).toBe(false)
    })

    it('closes near claimBy, and not before', async () => {
      const order = await t.used(1)
      await t.node.settler.settleAll(FOREVER)
      await t.world.devnet.increaseTime(order.order.claimBy - (await t.world.devnet.now()) - 700)
      await t.node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).closed).toBe(false)
      await t.world.devnet.increaseTime(120)
      await t.node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).closed).toBe(true)
      expect(await t.node.service.serve(t.world.call(order, { index: 9n }))).toMatchObject({ reason: 'order-closing' })
    })

    it('gives an unused order back when its payer asks, though it earns nothing', async () => {
      const order = await t.used(0)
      await t.node.service.requestClose(t.world.signClose(order))
      await t.node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).closed).toBe(true)
    })
  })

  describe('one lane', () => {
    it('never settles twice, whatever number of processes try at once', async () => {
      const databasePath = t.world.freshBooks()
      await t.withNode({ databasePath }, async (one) => {
        await t.withNode({ databasePath }, async (two) => {
          const order = await t.used(3, { at: one })
          const nonce = await t.world.devnet.provider.getTransactionCount(t.world.node.address)
          await Promise.all([one, two, one, two].map((each) => each.settler.settleAll(FOREVER)))
          expect(await t.settledEvents(order)).toBe(1)
          expect(await t.world.devnet.provider.getTransactionCount(t.world.node.address)).toBe(nonce + 1)
        })
      })
    })
  })

  it('waits while the fees are not worth the gas, and says where they are', async () => {
    const order = await t.used(2)
    expect(await t.node.settler.settleOnce()).toMatchObject({ submitted: [] })
    expect((await t.node.status()).orders).toMatchObject([
      { orderId: order.orderId, cumulativeFee: 30n, released: 0n, unsettled: 30n, free: 970n },
    ])
  })
})
