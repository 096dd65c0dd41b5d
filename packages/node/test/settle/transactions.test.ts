import { ChainUnavailableError, SURE_AFTER_MS } from '@opg/operator'
import { setUpNode } from '../support/fixture.js'
import { startFlakyRpc } from '@opg/devnet'
import { requestHash, type Hex } from '@opg/protocol'
import { BODY, PATH, orderInput } from '../support/world.js'
import { describe, expect, it } from 'vitest'

const FOREVER = { signal: new AbortController().signal }

describe('the transactions of the settler', () => {
  const t = setUpNode({ isolated: true })

  describe('a transaction that is stuck', () => {
    it('is replaced with higher fees under the same nonce, and booked once', async () => {
      let nowMs = Date.now()
      await t.withNode({ clock: () => nowMs, settle: { replaceAfterMs: 1_000 } }, async (patient) => {
        const order = await t.used(1, { at: patient })
        await t.world.devnet.setAutomine(false)
        await patient.settler.settleOnce({ force: true })
        nowMs += 999
        await patient.settler.settleOnce({ force: true })
        expect((await patient.store.pendingEntries())[0]?.attempts).toHaveLength(1)
        nowMs += 1
        await patient.settler.settleOnce({ force: true })
        const [entry] = await patient.store.pendingEntries()
        const [first, second] = entry?.attempts ?? []
        expect(second?.maxPriorityFeePerGas).toBeGreaterThan(((first?.maxPriorityFeePerGas ?? 0n) * 112n) / 100n)
        await t.world.devnet.mine(1)
        await patient.settler.settleOnce()
        expect(await patient.store.pendingEntries()).toEqual([])
        expect((await t.chainState(order)).released).toBe(15n)
        expect(await t.settledEvents(order)).toBe(1)
      })
    })

    it('is planned anew when another transaction of the key took its nonce, once that is sure', async () => {
      let nowMs = Date.now()
      await t.withNode({ clock: () => nowMs }, async (patient) => {
        const order = await t.used(1, { at: patient })
        await t.world.devnet.setAutomine(false)
        await patient.settler.settleOnce({ force: true })
        const [entry] = await patient.store.pendingEntries()
        const gwei = 10n ** 9n
        await t.world.node.sendTransaction({
          to: t.world.payer.address,
          nonce: entry?.nonce ?? 0,
          maxFeePerGas: 900n * gwei,
          maxPriorityFeePerGas: 90n * gwei,
        })
        await t.world.devnet.mine(1)
        await t.world.devnet.setAutomine(true)
        expect((await t.chainState(order)).released).toBe(0n)
        expect(await patient.settler.settleOnce({ force: true })).toMatchObject({ submitted: [], pending: 1 })
        nowMs += SURE_AFTER_MS
        await patient.settler.settleAll(FOREVER)
        expect((await t.chainState(order)).released).toBe(15n)
        expect((await patient.store.entries()).map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
      })
    })

    it('is not taken for superseded while the RPC counts it and has no receipt yet: it settles once', async () => {
      const rpc = await startFlakyRpc(t.world.devnet.rpcUrl)
      await t.withNode({ rpc: rpc.url }, async (remote) => {
        const order = await t.used(2, { at: remote })
        rpc.lies.set('eth_getTransactionReceipt', null)
        await remote.settler.settleOnce({ force: true })
        expect((await t.chainState(order)).released).toBe(30n)
        expect(await remote.settler.settleOnce({ force: true })).toMatchObject({
          submitted: [],
          booked: [],
          pending: 1,
        })
        rpc.lies.clear()
        await remote.settler.settleAll(FOREVER)
        expect(await remote.store.entries()).toMatchObject([{ state: 'confirmed', attempts: { length: 1 } }])
        expect(await t.settledEvents(order)).toBe(1)
      })
      await rpc.stop()
    })

    it('is not booked before its confirmations', async () => {
      await t.withNode({ settle: { confirmations: 3 } }, async (careful) => {
        const order = await t.world.open()
        await t.world.devnet.mine(2)
        await careful.service.admitOrder(orderInput(order))
        await careful.service.serve(t.world.call(order, { index: 0n }))
        await careful.settler.settleOnce({ force: true })
        expect((await t.chainState(order)).released).toBe(15n)
        await t.world.devnet.mine(1)
        expect(await careful.settler.settleOnce()).toMatchObject({ pending: 1 })
        await t.world.devnet.mine(1)
        expect(await careful.settler.settleOnce()).toMatchObject({ pending: 0 })
        expect(await t.settledEvents(order)).toBe(1)
      })
    })
  })

  it('have gas for a payer who empties its wallet just before: the refund then costs a fresh slot', async () => {
    const { devnet, payer, requester } = t.world
    const job = { requester: requester.address as Hex, requestHash: requestHash(PATH, new TextEncoder().encode(BODY)) }
    const order = await t.used(1, { order: { job } })
    await devnet.setAutomine(false)
    await t.node.settler.settleOnce({ force: true })
    const token = devnet.contracts.token.connect(payer)
    const gwei = 10n ** 9n
    const fees = { maxFeePerGas: 900n * gwei, maxPriorityFeePerGas: 90n * gwei, gasLimit: 100_000n }
    await token.transfer(requester.address, await token.balanceOf(payer.address), fees)
    await devnet.mine(1)
    await devnet.setAutomine(true)
    expect(await t.chainState(order)).toMatchObject({ closed: true })
    expect(await t.settledEvents(order)).toBe(1)
  })

  describe('a reorg', () => {
    it('that takes a booked settlement out makes it be sent again', async () => {
      const order = await t.used(2)
      await t.node.settler.settleAll(FOREVER)
      expect((await t.node.store.order(order.orderId))?.released).toBe(30n)
      await t.world.devnet.reorg(1)
      expect((await t.chainState(order)).released).toBe(0n)
      await t.node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).released).toBe(30n)
      expect(await t.settledEvents(order)).toBe(1)
      expect(await t.node.store.order(order.orderId)).toMatchObject({ released: 30n, inFlight: false })
      // The very same transaction: a second one might be settled beside it.
      expect(await t.node.store.entries()).toMatchObject([{ state: 'confirmed', attempts: { length: 1 } }])
    })

    it('that leaves a shorter chain makes the settlement be sent again', async () => {
      const order = await t.used(2)
      const shorter = await t.world.devnet.snapshot()
      await t.world.devnet.mine(5)
      await t.node.settler.settleAll(FOREVER)
      await t.world.devnet.revert(shorter)
      await t.node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).released).toBe(30n)
      expect(await t.node.store.entries()).toMatchObject([{ state: 'confirmed', attempts: { length: 1 } }])
    })

    it('that takes a close out makes it be sent again, and admits nothing meanwhile', async () => {
      const order = await t.used(1)
      await t.node.service.requestClose(t.world.signClose(order))
      await t.node.settler.settleAll(FOREVER)
      await t.world.devnet.reorg(1)
      expect(await t.node.service.serve(t.world.call(order, { index: 5n }))).toMatchObject({ reason: 'order-closing' })
      await t.node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).closed).toBe(true)
    })

    it('that takes the opening out keeps its receipts, and settles them when the order is open again', async () => {
      const order = await t.used(1)
      await t.world.devnet.reorg(1)
      await t.node.settler.settleOnce({ force: true })
      expect((await t.node.store.order(order.orderId))?.chain).toBe('missing')
      await (await t.world.devnet.contracts.escrow.connect(t.world.payer).openFunded(order.terms, order.order)).wait()
      await t.node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).released).toBe(15n)
    })
  })

  describe('a chain that is silent', () => {
    it('is an error of its own, changes nothing, and is asked again (N6)', async () => {
      const rpc = await startFlakyRpc(t.world.devnet.rpcUrl)
      await t.withNode({ rpc: rpc.url }, async (remote) => {
        const order = await t.used(1, { at: remote })
        rpc.mood = 'error'
        await expect(remote.settler.settleOnce({ force: true })).rejects.toBeInstanceOf(ChainUnavailableError)
        expect(await remote.store.entries()).toEqual([])
        rpc.mood = 'well'
        const stop = new AbortController()
        const running = remote.settler.run({ signal: stop.signal, intervalMs: 20 })
        rpc.mood = 'hang-up'
        await new Promise((resolve) => setTimeout(resolve, 100))
        rpc.mood = 'well'
        await remote.settler.settleAll(FOREVER)
        stop.abort()
        await running
        expect((await t.chainState(order)).released).toBe(15n)
        expect(await t.settledEvents(order)).toBe(1)
      })
      await rpc.stop()
    })
  })
})
