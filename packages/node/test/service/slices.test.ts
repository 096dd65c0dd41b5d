import { type Address, ZERO_ADDRESS, ZERO_BYTES32, sliceProof, toWire } from '@opg/protocol'
import { zeroPadValue } from 'ethers'
import { describe, expect, it } from 'vitest'
import { setUpNode } from '../support/fixture.js'
import { type OpenOrder, orderInput } from '../support/world.js'

const STRANGER = '0x00000000000000000000000000000000000000AA'

describe('a slice of a routed order', () => {
  const t = setUpNode()

  async function reasonOf(input: unknown): Promise<string> {
    const admission = await t.node.service.admitOrder(input)
    return admission.status === 'refused' ? admission.reason : admission.status
  }
  const altered = (order: OpenOrder, change: object): unknown => ({ ...(orderInput(order) as object), ...change })

  it('is admitted under its own id, for its cap, as often as it is handed in', async () => {
    const [slice] = await t.world.openSlices({ cap: 250n })
    const admission = { status: 'admitted', orderId: slice.orderId, amount: 250n, held: 250n }
    expect(await t.node.service.admitOrder(orderInput(slice))).toMatchObject(admission)
    expect(await t.node.service.admitOrder(orderInput(slice))).toMatchObject(admission)
    expect((await t.node.store.orders()).filter(({ orderId }) => orderId === slice.orderId)).toHaveLength(1)
  })

  it('serves requests that name it, up to its cap and not to its order, nor to its neighbour', async () => {
    const [slice, neighbour] = await t.usedSlices([1, 0], { cap: 100n })
    expect(await t.serve(slice, { index: 1n, maxFee: 86n })).toBe('order-exhausted')
    expect(await t.serve(slice, { index: 1n, maxFee: 85n })).toBe('served')
    expect(await t.serve(neighbour ?? slice, { index: 1n, maxFee: 100n })).toBe('served')
    const [signed] = await t.node.store.receipts(slice.orderId, { from: 0n, limit: 1 })
    expect(signed?.receipt).toMatchObject({ orderId: slice.orderId, node: t.world.node.address, cumulativeFee: 15n })
  })

  it('is refused while the order is not allocated, and taken once it is', async () => {
    const [slice] = await t.world.openSlices({ isAllocated: false })
    expect(await reasonOf(orderInput(slice))).toBe('order-not-open')
    const { escrow } = t.world.devnet.contracts
    if (slice.slice === undefined) throw new TypeError('no slice')
    const { allocation } = slice.slice
    await (await escrow.connect(t.world.facilitator).allocate(slice.terms, slice.order, allocation, '0x')).wait()
    expect(await reasonOf(orderInput(slice))).toBe('admitted')
  })

  it.each(['node', 'cap', 'count', 'proof', 'index'])('cannot be had by changing its %s', async (member) => {
    const other = { node: STRANGER as Address, evidenceKey: ZERO_BYTES32 }
    const own = { node: t.world.node.address as Address, evidenceKey: ZERO_BYTES32 }
    const holders = [own, other, own]
    const [mine, theirs] = await t.world.openSlices({ holders })
    if (mine.slice === undefined || theirs?.slice === undefined) throw new TypeError('no slices')
    const { allocation, slice } = mine.slice
    const proof = sliceProof(holders, [1])
    const changed = {
      // The neighbour's slice, claimed for this node.
      node: { ...theirs.slice, slice: { ...theirs.slice.slice, node: own.node } },
      cap: { ...mine.slice, allocation: { ...allocation, cap: 10_000n } },
      count: { ...mine.slice, allocation: { ...allocation, count: 4 } },
      proof: { ...mine.slice, proof },
      index: { ...mine.slice, slice: { ...slice, index: 2 } },
    }
    const reason = await reasonOf(altered(mine, { slice: toWire(changed[member as keyof typeof changed]) }))
    // What the proof does not cover makes another allocation, of which the chain knows nothing.
    expect(reason).toBe(['cap', 'count'].includes(member) ? 'order-not-open' : 'slice-not-proved')
  })

  it("is refused where it is another node's, or where the order is no routed one", async () => {
    const other = { node: STRANGER as Address, evidenceKey: ZERO_BYTES32 }
    const [theirs] = await t.world.openSlices({ holders: [other] })
    expect(await reasonOf(orderInput(theirs))).toBe('wrong-node')
    const [mine] = await t.world.openSlices()
    expect(await reasonOf(toWire({ terms: mine.terms, order: mine.order }))).toBe('wrong-node')
    const direct = await t.world.open()
    expect(await reasonOf(altered(mine, { terms: toWire(direct.terms) }))).toBe('wrong-node')
  })

  it('names a key of its own; one that the payer pinned must be the same, or it could never be settled', async () => {
    const node = t.world.node.address as Address
    const named = zeroPadValue(node, 32).toLowerCase() as `0x${string}`
    const byNode = { node, evidenceKey: named }
    const byZero = { node, evidenceKey: ZERO_BYTES32 }
    const foreign = { node, evidenceKey: `0x${'ab'.repeat(32)}` as const }
    const [free, zero, bad] = await t.world.openSlices({ holders: [byNode, byZero, foreign] })
    expect(await reasonOf(orderInput(free))).toBe('admitted')
    expect(await reasonOf(orderInput(zero ?? free))).toBe('admitted')
    expect(await reasonOf(orderInput(bad ?? free))).toBe('wrong-evidence-key')
    const pinned = { terms: { evidenceKey: named }, holders: [byNode, byZero] }
    const [same, otherwise] = await t.world.openSlices(pinned)
    expect(await reasonOf(orderInput(same))).toBe('admitted')
    expect(await reasonOf(orderInput(otherwise ?? same))).toBe('wrong-evidence-key')
  })

  it('must be worth it: its cap, not the amount of its order, is held against the least amount', async () => {
    await t.withNode({ gate: { minAmount: 200n } }, async (picky) => {
      const [small] = await t.world.openSlices({ cap: 199n })
      expect(await picky.service.admitOrder(orderInput(small))).toMatchObject({ reason: 'amount-too-low' })
      const [enough] = await t.world.openSlices({ cap: 200n })
      expect(await picky.service.admitOrder(orderInput(enough))).toMatchObject({ status: 'admitted' })
    })
  })

  it.each([
    ['slice', 'one more member', { more: 1 }],
    ['slice', 'no proof', { proof: undefined }],
    ['slice', 'a proof that is too long', { proof: Array.from({ length: 9 }, () => ZERO_BYTES32) }],
  ])('is malformed: %s with %s', async (_, __, change) => {
    const [slice] = await t.world.openSlices()
    const wire = orderInput(slice) as { readonly slice: object }
    expect(await reasonOf({ ...wire, slice: { ...wire.slice, ...change } })).toBe('malformed')
  })

  it('is not admitted once it was settled from elsewhere', async () => {
    const [slice] = await t.usedSlices([1])
    await t.node.settler.release(slice.orderId, { forgoFees: true })
    await t.withNode({}, async (fresh) => {
      expect(await fresh.service.admitOrder(orderInput(slice))).toMatchObject({ reason: 'order-closed' })
    })
    expect(await t.serve(slice, { index: 5n })).toBe('order-closing')
  })

  it('a close is taken from the payer and from the facilitator, and from nobody else', async () => {
    const [slice, second] = await t.usedSlices([0, 0])
    const requestClose = (input: unknown) => t.node.service.requestClose(input)
    expect(await requestClose(t.world.signClose(slice, t.world.requester))).toMatchObject({
      reason: 'signature-invalid',
    })
    expect(await requestClose(t.world.signClose(slice, t.world.payer))).toMatchObject({ status: 'closing' })
    const byFacilitator = t.world.signClose(second ?? slice, t.world.facilitator)
    expect(await requestClose(byFacilitator)).toMatchObject({ status: 'closing' })
    const direct = await t.used(0, { terms: { facilitator: t.world.facilitator.address as Address } })
    expect(await requestClose(t.world.signClose(direct, t.world.facilitator))).toMatchObject({
      reason: 'signature-invalid',
    })
    expect(direct.terms.facilitator).not.toBe(ZERO_ADDRESS)
  })
})
