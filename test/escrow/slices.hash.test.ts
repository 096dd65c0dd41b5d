import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { AbiCoder, Wallet, ZeroHash, concat, id, keccak256, toBeHex } from 'ethers'
import type { SliceHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/SliceHarness'
import { deploy } from '../support/fixture'

interface Holder {
  readonly node: string
  readonly evidenceKey: string
}

/** The tree written a second time: all of its nodes, level by level from the leaves up. */
class Tree {
  readonly levels: string[][]

  constructor(readonly holders: readonly Holder[]) {
    let width = 1
    while (width < holders.length) width *= 2
    const leaves = holders.map(({ node, evidenceKey }) => keccak256(concat(['0x00', node, evidenceKey])))
    this.levels = [[...leaves, ...new Array<string>(width - leaves.length).fill(ZeroHash)]]
    for (let level = this.levels[0] ?? []; level.length > 1;) {
      level = level.flatMap((left, i) => (i % 2 === 0 ? [keccak256(concat([left, level[i + 1] ?? '']))] : []))
      this.levels.push(level)
    }
  }

  get root(): string {
    return this.levels.at(-1)?.[0] ?? ''
  }

  /** Siblings that are missing to get from the leaves at `indexes` to the root. */
  proofOf(indexes: readonly number[]): string[] {
    const proof: string[] = []
    let known = [...indexes]
    for (const level of this.levels.slice(0, -1)) {
      for (const place of known) if (!known.includes(place ^ 1)) proof.push(level[place ^ 1] ?? '')
      known = [...new Set(known.map((place) => place >> 1))]
    }
    return proof
  }
}

function holdersOf(count: number): Holder[] {
  return Array.from({ length: count }, (_, i) => ({
    node: new Wallet(id(`slice node ${String(i)}`)).address,
    evidenceKey: id(`key ${String(i)}`),
  }))
}

function rowsOf(holders: readonly Holder[], indexes: readonly number[]) {
  return indexes.map((index) => ({
    index,
    node: holders[index]?.node ?? holders[0]?.node ?? '',
    evidenceKey: holders[index]?.evidenceKey ?? ZeroHash,
    fee: 1n,
    receiptsRoot: ZeroHash,
    receiptCount: 0n,
    evidence: '0x',
  }))
}

async function harnessFixture() {
  const harness = await deploy<SliceHarness>('SliceHarness')
  const ask = async (
    tree: Tree,
    rows: ReturnType<typeof rowsOf>,
    proof: readonly string[],
    count = tree.holders.length,
  ) => {
    const allocation = { root: tree.root, count, cap: 5n, series: 0n }
    const [yes, kept] = await harness.areAllocated(allocation, rows, [...proof])
    expect(kept).to.equal(true)
    return yes
  }
  return { harness, ask }
}

/** Every set of indexes below `count`, in rising order. */
function subsetsOf(count: number): number[][] {
  return Array.from({ length: 2 ** count }, (_, bits) =>
    Array.from({ length: count }, (_unused, i) => i).filter((i) => (bits >> i) & 1),
  )
}

describe('SliceHash', () => {
  it('hashes leaves, slices and allocations as the specification says', async () => {
    const { harness } = await loadFixture(harnessFixture)
    const [{ node, evidenceKey } = { node: '', evidenceKey: '' }] = holdersOf(1)
    expect(await harness.leaf(node, evidenceKey)).to.equal(keccak256(concat(['0x00', node, evidenceKey])))
    expect(await harness.slice(id('allocation'), 254n)).to.equal(
      keccak256(concat([id('allocation'), toBeHex(254n, 32)])),
    )
    const typehash = id('Allocation(bytes32 orderId,bytes32 root,uint8 count,uint96 cap,uint64 series)')
    expect(await harness.allocation(id('order'), { root: id('root'), count: 3, cap: 5n, series: 7n })).to.equal(
      keccak256(
        AbiCoder.defaultAbiCoder().encode(
          ['bytes32', 'bytes32', 'bytes32', 'uint8', 'uint96', 'uint64'],
          [typehash, id('order'), id('root'), 3, 5n, 7n],
        ),
      ),
    )
  })

  for (const count of [1, 2, 3, 4, 5]) {
    it(`finds every set of slices of ${String(count)}, and none with a proof too long, too short or altered`, async () => {
      const { ask } = await loadFixture(harnessFixture)
      const tree = new Tree(holdersOf(count))
      for (const indexes of subsetsOf(count)) {
        const rows = rowsOf(tree.holders, indexes)
        const proof = indexes.length === 0 ? [] : tree.proofOf(indexes)
        expect(await ask(tree, rows, proof)).to.equal(true)
        expect(await ask(tree, rows, [...proof, ZeroHash])).to.equal(false)
        if (proof.length === 0) continue
        expect(await ask(tree, rows, proof.slice(0, -1))).to.equal(false)
        expect(await ask(tree, rows, [id('another'), ...proof.slice(1)])).to.equal(false)
      }
    })
  }

  it('finds single slices and runs of a large allocation', async () => {
    const { ask } = await loadFixture(harnessFixture)
    const tree = new Tree(holdersOf(255))
    for (const indexes of [[0], [1], [127], [128], [254], [0, 254], [3, 4, 5, 6], [126, 127, 128, 129]]) {
      expect(await ask(tree, rowsOf(tree.holders, indexes), tree.proofOf(indexes))).to.equal(true)
    }
  })

  it('one slice twice, each time with siblings of its own: refused, though both lead to the root', async () => {
    const { ask } = await loadFixture(harnessFixture)
    const tree = new Tree(holdersOf(4))
    const [leaves = [], inner = []] = tree.levels
    const proof = [leaves[0] ?? '', leaves[0] ?? '', inner[1] ?? '', inner[1] ?? '']
    expect(await ask(tree, rowsOf(tree.holders, [1, 1]), proof)).to.equal(false)
  })

  it('slices in falling order, each with siblings of its own: refused, though both lead to the root', async () => {
    const { ask } = await loadFixture(harnessFixture)
    const tree = new Tree(holdersOf(4))
    const [leaves = [], inner = []] = tree.levels
    const proof = [leaves[3] ?? '', leaves[0] ?? '', inner[0] ?? '', inner[1] ?? '']
    expect(await ask(tree, rowsOf(tree.holders, [2, 1]), proof)).to.equal(false)
  })

  it('refuses a slice twice, out of order, of another holder, or beyond the count', async () => {
    const { ask } = await loadFixture(harnessFixture)
    const tree = new Tree(holdersOf(4))
    expect(await ask(tree, rowsOf(tree.holders, [1, 1]), tree.proofOf([1]))).to.equal(false)
    expect(await ask(tree, rowsOf(tree.holders, [1, 0]), tree.proofOf([0, 1]))).to.equal(false)
    const [row] = rowsOf(tree.holders, [2])
    const foreign = row ? [{ ...row, node: tree.holders[1]?.node ?? '' }] : []
    expect(await ask(tree, foreign, tree.proofOf([2]))).to.equal(false)
    const rekeyed = row ? [{ ...row, evidenceKey: id('another key') }] : []
    expect(await ask(tree, rekeyed, tree.proofOf([2]))).to.equal(false)
    expect(await ask(tree, rowsOf(tree.holders, [3]), tree.proofOf([3]), 3)).to.equal(false)
    expect(await ask(tree, rowsOf(tree.holders, [2]), tree.proofOf([2]), 3)).to.equal(true)
  })
})
