import { type Address, ZERO_BYTES32 } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { OrderNotReleasableError } from '../../src/errors.js'
import { setUpNode } from '../support/fixture.js'
import { type OpenOrder, orderInput } from '../support/world.js'

const FOREVER = { signal: new AbortController().signal }
const STRANGER = '0x00000000000000000000000000000000000000AA'

describe('slices at the settler', () => {
  const t = setUpNode({ isolated: true })

  async function isUnsettled({ orderId }: OpenOrder): Promise<boolean> {
    const stored = await t.node.store.order(orderId)
    if (stored?.slice === undefined) throw new TypeError('no slice')
    const { bitmap } = await t.world.devnet.contracts.escrow.unsettledSlices(stored.slice.allocationId)
    return ((bitmap >> BigInt(stored.slice.slice.index)) & 1n) === 1n
  }
  async function close(slices: readonly OpenOrder[]): Promise<void> {
    for (const slice of slices) await t.node.service.requestClose(t.world.signClose(slice))
  }
  const paid = (): Promise<bigint> => t.world.devnet.contracts.token.balanceOf(t.world.node.address)

  it('waits while it may still be used: its one settlement would be its last', async () => {
    const [slice] = await t.usedSlices([1])
    expect(await t.node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [] })
    expect(await isUnsettled(slice)).toBe(true)
    expect(await t.serve(slice, { index: 1n })).toBe('served')
  })

  it('settles those of one allocation in one transaction, each once, pays the node, and frees the rest', async () => {
    const stranger = { node: STRANGER as Address, evidenceKey: ZERO_BYTES32 }
    const own = { node: t.world.node.address as Address, evidenceKey: ZERO_BYTES32 }
    const [first, , , last] = await t.world.openSlices({ holders: [own, stranger, stranger, own, stranger] })
    if (last === undefined) throw new TypeError('no slice')
    for (const [slice, count] of [
      [first, 2],
      [last, 1],
    ] as const) {
      await t.node.service.admitOrder(orderInput(slice))
      for (let i = 0; i < count; i++) await t.serve(slice, { index: BigInt(i) })
    }
    await close([last, first])
    const report = await t.node.settler.settleOnce({ force: true })
    expect(report).toMatchObject({ submitted: [{ kind: 'settle', settlements: { length: 2 } }] })
    await t.node.settler.settleAll(FOREVER)
    expect([await t.settledEvents(first), await t.settledEvents(last)]).toEqual([1, 1])
    expect([await isUnsettled(first), await isUnsettled(last)]).toEqual([false, false])
    // 30 and 15, each less the network's 5 %, rounded in favour of the node.
    expect(await paid()).toBe(29n + 15n)
    const routed = (await t.node.store.order(first.orderId))?.slice?.routedId ?? '0x'
    expect((await t.world.devnet.contracts.escrow.orders(routed)).reserved).toBe(3n * 300n)
    expect(await t.node.store.order(first.orderId)).toMatchObject({ chain: 'closed', released: 30n, inFlight: false })
    expect(await t.node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [] })
  })

  it('sends slices of two allocations in transactions of their own', async () => {
    const [one] = await t.usedSlices([1])
    const [two] = await t.usedSlices([1])
    await close([one, two])
    expect(await t.node.settler.settleOnce({ force: true })).toMatchObject({ submitted: { length: 2 } })
  })

  it('settles what is used up by itself, and near claimBy what was used at all', async () => {
    const [full, half, unused] = await t.usedSlices([0, 1, 0], { cap: 100n })
    const fill = { index: 1n, maxFee: 100n, run: () => Promise.resolve(USED_UP) }
    expect(await t.serve(full, fill)).toBe('served')
    await t.node.settler.settleAll(FOREVER)
    expect(await isUnsettled(full)).toBe(false)
    expect(await isUnsettled(half ?? full)).toBe(true)
    await t.world.devnet.increaseTime(full.order.claimBy - (await t.world.devnet.now()) - 500)
    await t.node.settler.settleAll(FOREVER)
    expect(await isUnsettled(half ?? full)).toBe(false)
    // It earned nothing, and its money is free again at claimBy without anybody's gas.
    expect(await isUnsettled(unused ?? full)).toBe(true)
  })

  it('gives an unused slice back for nothing when it is asked to', async () => {
    const [slice] = await t.usedSlices([0])
    await t.node.settler.release(slice.orderId)
    expect(await isUnsettled(slice)).toBe(false)
    expect(await t.node.store.order(slice.orderId)).toMatchObject({ chain: 'closed', released: 0n, inFlight: false })
    expect(await paid()).toBe(0n)
    const [asked] = await t.usedSlices([0])
    await close([asked])
    await t.node.settler.settleOnce() // at any cost: it was promised
    expect(await isUnsettled(asked)).toBe(false)
  })

  it('never gives a slice back over its fees, unless told to', async () => {
    const [slice] = await t.usedSlices([1])
    await expect(t.node.settler.release(slice.orderId)).rejects.toBeInstanceOf(OrderNotReleasableError)
    expect(await isUnsettled(slice)).toBe(true)
    await t.node.settler.release(slice.orderId, { forgoFees: true })
    expect(await isUnsettled(slice)).toBe(false)
  })

  it('verifier with too little gas: nothing is sent, and nothing is lost', async () => {
    const databasePath = t.world.freshBooks()
    await t.withNode({ databasePath, settle: { gasPerSlice: 100n } }, async (mean) => {
      const [slice] = await t.usedSlices([1], { at: mean })
      await mean.service.requestClose(t.world.signClose(slice))
      expect(await mean.settler.settleOnce({ force: true })).toMatchObject({ submitted: [], pending: 0 })
      expect(await mean.store.order(slice.orderId)).toMatchObject({ chain: 'open', cumulativeFee: 15n })
    })
    await t.withNode({ databasePath }, async (generous) => {
      await generous.settler.settleAll(FOREVER)
      expect((await generous.store.orders())[0]).toMatchObject({ chain: 'closed', released: 15n })
    })
  })

  it('a slice that the escrow would pass over does not hold up its neighbours (E8)', async () => {
    const [good, spoiled] = await t.usedSlices([1, 1])
    if (spoiled === undefined) throw new TypeError('no slice')
    await close([good, spoiled])
    // Books that say more than the cap: the escrow would say Overdrawn.
    const { store } = t.node
    const planned = store.planSettlements.bind(store)
    const spoilt = {
      ...store,
      planSettlements: async (...args: Parameters<typeof planned>) =>
        (await planned(...args)).map((row) =>
          row.orderId === spoiled.orderId ? { ...row, cumulativeFee: 301n } : row,
        ),
    }
    await t.settlerOver(spoilt).settleOnce({ force: true })
    expect(await isUnsettled(good)).toBe(false)
    expect(await isUnsettled(spoiled)).toBe(true)
    await t.node.settler.settleAll(FOREVER)
    expect(await isUnsettled(spoiled)).toBe(false)
  })

  it('a reorg that takes its settlement out makes the same transaction be sent again (N5)', async () => {
    const [slice] = await t.usedSlices([2])
    await close([slice])
    await t.node.settler.settleAll(FOREVER)
    await t.world.devnet.reorg(1)
    expect(await isUnsettled(slice)).toBe(true)
    await t.node.settler.settleAll(FOREVER)
    expect(await isUnsettled(slice)).toBe(false)
    expect(await t.settledEvents(slice)).toBe(1)
    expect(await t.node.store.order(slice.orderId)).toMatchObject({ chain: 'closed', released: 30n, inFlight: false })
    expect(await t.node.store.entries()).toMatchObject([{ state: 'confirmed', attempts: { length: 1 } }])
  })

  it('a reorg that takes its allocation out keeps its receipts until it is allocated again (N5)', async () => {
    const [slice] = await t.usedSlices([1])
    await close([slice])
    await t.world.devnet.reorg(1)
    await t.node.settler.settleOnce({ force: true })
    expect(await t.node.store.order(slice.orderId)).toMatchObject({ chain: 'missing', cumulativeFee: 15n })
    if (slice.slice === undefined) throw new TypeError('no slice')
    const escrow = t.world.devnet.contracts.escrow.connect(t.world.facilitator)
    await (await escrow.allocate(slice.terms, slice.order, slice.slice.allocation, '0x')).wait()
    await t.node.settler.settleAll(FOREVER)
    expect(await isUnsettled(slice)).toBe(false)
    expect(await t.settledEvents(slice)).toBe(1)
  })
})

const USED_UP = { usage: { inputTokens: 0n, outputTokens: 999n }, contentType: 'a/b' }
