import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import type { StateHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/StateHarness'
import { deploy } from '../support/fixture'

const MAX_96 = 2n ** 96n - 1n
const MAX_16 = 2n ** 16n - 1n
const MAX_32 = 2n ** 32n - 1n
const ORDER = { networkBps: 0x0123n, royaltyBps: 0x4567n, openedAt: 0x89abcdefn, amount: 0x112233445566778899aabbccn }

async function harnessFixture() {
  const harness = await deploy<StateHarness>('StateHarness')
  const create = (changes: Partial<typeof ORDER> = {}): Promise<bigint> => {
    const { networkBps, royaltyBps, openedAt, amount } = { ...ORDER, ...changes }
    return harness.create(networkBps, royaltyBps, openedAt, amount)
  }
  return { harness, create }
}

describe('OrderState', () => {
  it('keeps each member in its place of the one slot', async () => {
    const { harness, create } = await loadFixture(harnessFixture)
    const { networkBps, royaltyBps, openedAt, amount } = ORDER
    const state = await create()
    expect(state).to.equal((openedAt << 224n) | (royaltyBps << 208n) | (networkBps << 192n) | amount)
    const fields = await harness.fields(state)
    expect(fields.amount).to.equal(amount)
    expect(fields.released).to.equal(0n)
    expect([fields.networkBps, fields.royaltyBps]).to.deep.equal([networkBps, royaltyBps])
    expect([fields.snapshotNetworkBps, fields.snapshotRoyaltyBps]).to.deep.equal([networkBps, royaltyBps])
    expect(fields.snapshot).to.equal((royaltyBps << 16n) | networkBps)
    expect(fields.openedAt).to.equal(openedAt)
    expect([fields.known, fields.closed]).to.deep.equal([true, false])
  })

  it('lets no member run into the next, at the largest of each', async () => {
    const { harness, create } = await loadFixture(harnessFixture)
    const nothing = { networkBps: 0n, royaltyBps: 0n, openedAt: 0n, amount: 0n }
    const largest = { networkBps: MAX_16, royaltyBps: MAX_16, openedAt: MAX_32, amount: MAX_96 }
    for (const name of ['networkBps', 'royaltyBps', 'openedAt', 'amount'] as const) {
      const fields = await harness.fields(await create({ ...nothing, [name]: largest[name] }))
      const expected = { ...nothing, [name]: largest[name] }
      expect(fields.networkBps).to.equal(expected.networkBps)
      expect(fields.royaltyBps).to.equal(expected.royaltyBps)
      expect(fields.openedAt).to.equal(expected.openedAt)
      expect(fields.amount).to.equal(expected.amount)
      expect(fields.released).to.equal(0n)
      expect(fields.snapshotNetworkBps).to.equal(expected.networkBps)
      expect(fields.snapshotRoyaltyBps).to.equal(expected.royaltyBps)
      expect([fields.known, fields.closed]).to.deep.equal([true, false])
    }
  })

  it("adds up what is not the node's", async () => {
    const { harness, create } = await loadFixture(harnessFixture)
    const state = await create({ networkBps: 200n, royaltyBps: 500n })
    expect(await harness.poolBps(state, 100n)).to.equal(800n)
    expect(await harness.poolBps(state, 0n)).to.equal(700n)
  })

  it('raises what is released, and nothing else', async () => {
    const { harness, create } = await loadFixture(harnessFixture)
    const state = await create()
    const once = await harness.release(state, 7n)
    expect(once).to.equal(state | (7n << 96n))
    expect(await harness.release(once, 8n)).to.equal(state | (8n << 96n))
    expect((await harness.fields(once)).released).to.equal(7n)
  })

  it('closes with the rest as the refund, and keeps all but what is released', async () => {
    const { harness, create } = await loadFixture(harnessFixture)
    const state = await harness.release(await create({ amount: 10n }), 4n)
    const [closed, refund] = await harness.close(state)
    expect(refund).to.equal(6n)
    expect(closed).to.equal(state | (MAX_96 << 96n))
    const fields = await harness.fields(closed)
    expect([fields.known, fields.closed, fields.amount]).to.deep.equal([true, true, 10n])
  })

  it('is closed only with every bit of released set, and unknown only as zero', async () => {
    const { harness } = await loadFixture(harnessFixture)
    expect((await harness.fields(0n)).known).to.equal(false)
    expect((await harness.fields(1n)).known).to.equal(true)
    expect((await harness.fields(2n ** 255n)).known).to.equal(true)
    for (const released of [0n, 1n, MAX_96 - 1n, MAX_96 >> 1n]) {
      expect((await harness.fields((released << 96n) | 1n)).closed).to.equal(false)
    }
    expect((await harness.fields((MAX_96 << 96n) | 1n)).closed).to.equal(true)
  })
})

describe('RoutedState', () => {
  it('reserves, and counts each allocation', async () => {
    const { harness } = await loadFixture(harnessFixture)
    const once = await harness.reserve(0n, 30n)
    expect(await harness.routedFields(once)).to.deep.equal([30n, 0n, 1n])
    const twice = await harness.reserve(once, 12n)
    expect(await harness.routedFields(twice)).to.deep.equal([42n, 0n, 2n])
  })

  it('settles a slice: its cap is reserved no more, its fee is released, the difference is free again', async () => {
    const { harness } = await loadFixture(harnessFixture)
    const state = await harness.reserve(0n, 30n)
    const settled = await harness.settle(state, 10n, 4n)
    expect(await harness.routedFields(settled)).to.deep.equal([20n, 4n, 1n])
    expect(await harness.routedFields(await harness.settle(settled, 10n, 0n))).to.deep.equal([10n, 4n, 1n])
    expect(await harness.free(state, 100n)).to.equal(70n)
    expect(await harness.free(settled, 100n)).to.equal(76n)
    expect(await harness.free(settled, 24n)).to.equal(0n)
  })

  it('keeps its members apart at their largest', async () => {
    const { harness } = await loadFixture(harnessFixture)
    const full = await harness.reserve(0n, MAX_96)
    expect(await harness.routedFields(full)).to.deep.equal([MAX_96, 0n, 1n])
    expect(await harness.routedFields(await harness.settle(full, MAX_96, MAX_96))).to.deep.equal([0n, MAX_96, 1n])
    expect(await harness.routedFields(2n ** 256n - 1n)).to.deep.equal([MAX_96, MAX_96, 2n ** 64n - 1n])
    expect(await harness.free(full, MAX_96)).to.equal(0n)
  })
})
