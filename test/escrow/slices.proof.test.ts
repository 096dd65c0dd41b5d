import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import fc from 'fast-check'
import { ZeroHash, concat, id, keccak256 } from 'ethers'
import type { HashHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HashHarness'
import { OPG, deploy } from '../support/fixture'
import {
  allocate,
  proofOf,
  rootOf,
  routedFixture,
  settleSlicesArgs,
  sliceLeafOf,
  sliceProofOf,
  sliceRows,
  type Holder,
  type SliceRow,
} from '../support/routed'

const holder = (index: number): Holder => ({
  node: `0x${id(`holder ${String(index)}`).slice(2, 42)}`,
  evidenceKey: index % 3 === 0 ? ZeroHash : id(`key ${String(index)}`),
})

function holdersOf(count: number): Holder[] {
  return Array.from({ length: count }, (_, index) => holder(index))
}

function rowsOf(holders: readonly Holder[], indexes: readonly number[]): SliceRow[] {
  return indexes.map((index) => {
    const { node, evidenceKey } = holders[index] ?? holder(index)
    return { index, node, evidenceKey, fee: 0n, receiptsRoot: ZeroHash, receiptCount: 0n, evidence: '0x' }
  })
}

describe('proofs of slices', () => {
  let harness: HashHarness
  before(async () => {
    harness = await deploy<HashHarness>('HashHarness')
  })

  async function expectProof(
    holders: readonly Holder[],
    rows: readonly SliceRow[],
    proof: readonly string[],
    { valid, why, ...changes }: { valid: boolean; why: string; root?: string; count?: number },
  ): Promise<void> {
    const allocation = { root: rootOf(holders), count: holders.length, cap: 1n, series: 0n, ...changes }
    expect(await harness.areAllocated(allocation, [...rows], [...proof]), why).to.equal(valid)
  }

  /** Any set of slices of an allocation of any size. */
  const choice = fc
    .oneof(fc.integer({ min: 1, max: 17 }), fc.constantFrom(31, 32, 33, 128, 129, 254, 255))
    .chain((count) =>
      fc.record({
        count: fc.constant(count),
        indexes: fc
          .uniqueArray(fc.nat(count - 1), { minLength: 1, maxLength: 12 })
          .map((indexes) => indexes.sort((a, b) => a - b)),
        at: fc.nat(300),
      }),
    )

  it('hold for any slices of any allocation, and for nothing else than these (E3)', async () => {
    await fc.assert(
      fc.asyncProperty(choice, async ({ count, indexes, at }) => {
        const holders = holdersOf(count)
        const rows = rowsOf(holders, indexes)
        const proof = sliceProofOf(holders, indexes)
        await expectProof(holders, rows, proof, { valid: true, why: 'as it should be' })

        const refused = { valid: false }
        await expectProof(holders, rows, [...proof, ZeroHash], { ...refused, why: 'too long' })
        await expectProof(holders, rows, [ZeroHash, ...proof], { ...refused, why: 'too long in front' })
        if (proof.length > 0) {
          await expectProof(holders, rows, proof.slice(0, -1), { ...refused, why: 'too short' })
          await expectProof(holders, rows, proof.slice(1), { ...refused, why: 'too short in front' })
          const wrong = proof.map((hash, i) => (i === at % proof.length ? keccak256(hash) : hash))
          await expectProof(holders, rows, wrong, { ...refused, why: 'a wrong sibling' })
          const turned = [...proof].reverse()
          if (turned.join() !== proof.join())
            await expectProof(holders, rows, turned, { ...refused, why: 'siblings in another order' })
        }
        const chosen = at % rows.length
        const thief = rows.map((row, i) => (i === chosen ? { ...row, node: holder(999).node } : row))
        await expectProof(holders, thief, proof, { ...refused, why: 'another node' })
        const key = rows.map((row, i) => (i === chosen ? { ...row, evidenceKey: id('another') } : row))
        await expectProof(holders, key, proof, { ...refused, why: 'another key' })
        const twice = [...rows.slice(0, chosen + 1), ...rows.slice(chosen)]
        await expectProof(holders, twice, proof, { ...refused, why: 'an index twice' })
        if (rows.length > 1)
          await expectProof(holders, [...rows].reverse(), proof, { ...refused, why: 'indexes that fall' })
        const missing = rows.filter((_, i) => i !== chosen)
        if (missing.length > 0) await expectProof(holders, missing, proof, { ...refused, why: 'a row less' })
        await expectProof(holders, rows, proof, { ...refused, why: 'another root', root: id('root') })
        for (const [i, row] of rows.entries()) {
          const moved = rows.map((other, j) => (i === j ? { ...other, index: (row.index + 1) % 256 } : other))
          await expectProof(holders, moved, proof, { ...refused, why: `slice ${String(row.index)} one further` })
        }
      }),
      { numRuns: Number(process.env.DEEP_RUNS ?? 40) },
    )
  }).timeout(600_000)

  it('an index at or beyond the count, 255 among them: no such slice, whatever the tree holds there', async () => {
    // A tree that has leaves where the count says that there are no slices.
    const holders = holdersOf(8)
    for (const count of [1, 5, 6, 7]) {
      for (const index of [count, 7, 8, 255].filter((index) => index >= count)) {
        const proof = index < 8 ? sliceProofOf(holders, [index]) : []
        await expectProof(holders, rowsOf(holders, [index]), proof, {
          valid: false,
          why: `slice ${String(index)} of ${String(count)}`,
          count,
        })
      }
    }
    const whole = holdersOf(255)
    await expectProof(whole, rowsOf(whole, [255]), sliceProofOf(whole, [254]), { valid: false, why: '255 of 255' })
    await expectProof(whole, rowsOf(whole, [254]), sliceProofOf(whole, [254]), { valid: true, why: '254 of 255' })
  })

  it('places without a slice are zero, and nobody holds them', async () => {
    for (const count of [3, 5, 6, 7, 129]) {
      const holders = holdersOf(count)
      const last = count - 1
      const proof = sliceProofOf(holders, [last])
      await expectProof(holders, rowsOf(holders, [last]), proof, { valid: true, why: `last of ${String(count)}` })
      if (count % 2 === 1) expect(proof[0]).to.equal(ZeroHash)
      const empty = rowsOf([], [count]).map((row) => ({ ...row, node: `0x${'00'.repeat(20)}`, evidenceKey: ZeroHash }))
      await expectProof(holders, empty, sliceProofOf(holders, [last]), { valid: false, why: 'an empty place' })
    }
  })

  it('an inner node in the place of a leaf, or a leaf in that of an inner node: refused', async () => {
    const holders = holdersOf(4)
    const leaves = holders.map(sliceLeafOf)
    const [a = '', b = '', c = '', d = ''] = leaves
    const [left, right] = [keccak256(concat([a, b])), keccak256(concat([c, d]))]
    expect(keccak256(concat([left, right]))).to.equal(rootOf(holders))
    // As if there were two slices, whose leaves were the inner nodes.
    await expectProof(holders, rowsOf(holders, [0]), [right], { valid: false, why: 'half the tree', count: 2 })
    // As if the tree were one level deeper or less deep than its count says.
    await expectProof(holders, rowsOf(holders, [0]), [b, right], { valid: false, why: 'deeper', count: 2 })
    await expectProof(holders, rowsOf(holders, [0]), [b, right], { valid: false, why: 'less deep', count: 5 })
    await expectProof(holders, rowsOf(holders, [0]), [b, right, ZeroHash], { valid: false, why: 'zeros', count: 5 })
    await expectProof(holders, rowsOf(holders, [0]), [b, right], { valid: true, why: 'as deep', count: 3 })
  })

  it('one slice alone: its leaf is the root', async () => {
    const holders = holdersOf(1)
    expect(rootOf(holders)).to.equal(sliceLeafOf(holder(0)))
    await expectProof(holders, rowsOf(holders, [0]), [], { valid: true, why: 'alone' })
    await expectProof(holders, rowsOf(holders, [0]), [ZeroHash], { valid: false, why: 'a sibling too many' })
    await expectProof(holders, rowsOf(holders, [0, 0]), [], { valid: false, why: 'twice' })
  })

  describe('in settleSlices', () => {
    it('malformed ones revert the call and settle nothing, good evidence or not', async () => {
      const f = await loadFixture(routedFixture)
      const planned = await allocate(f, f.order, { cap: OPG, count: 5 })
      const rows = await sliceRows(f, planned, [
        { index: 1, fee: OPG },
        { index: 3, fee: OPG },
      ])
      const [first, second] = rows
      if (first === undefined || second === undefined) throw new TypeError('no rows')
      const proof = proofOf(planned, rows)
      const cases: readonly (readonly [string, readonly SliceRow[], readonly string[]])[] = [
        ['short', rows, proof.slice(0, -1)],
        ['long', rows, [...proof, ZeroHash]],
        ['none', rows, []],
        ['reversed', rows, [...proof].reverse()],
        ['of one of them', rows, proofOf(planned, [first])],
        ['duplicate', [first, first], proof],
        ['descending', [second, first], proof],
        ['index of the other', [{ ...first, index: 2 }, second], proof],
        ['index 5 of 5', [first, { ...second, index: 5 }], proof],
        ['index 255', [first, { ...second, index: 255 }], proof],
        ['node of another', [{ ...first, node: f.stranger.address }, second], proof],
      ]
      for (const [why, altered, given] of cases) {
        await expect(f.escrow.settleSlices(...settleSlicesArgs(f, planned, altered, { proof: given })), why)
          .to.be.revertedWithCustomError(f.escrow, 'SliceProofInvalid')
          .withArgs(planned.allocationId)
      }
      expect(await f.escrow.settleSlices.staticCall(...settleSlicesArgs(f, planned, rows))).to.equal(2n)
    })
  })
})
