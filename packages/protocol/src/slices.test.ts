import { describe, expect, it } from 'vitest'
import { refusalOf } from '../test/refusal.js'
import {
  allocationId,
  allocationRoot,
  combineSliceProofs,
  createAllocation,
  sliceId,
  sliceLeaf,
  sliceProof,
  verifySliceProof,
} from './slices.js'
import type { SliceHolder } from './types.js'

const holder = (byte: number): SliceHolder => ({
  node: `0x${byte.toString(16).padStart(2, '0').repeat(20)}`,
  evidenceKey: `0x${'00'.repeat(32)}`,
})
const holders = Array.from({ length: 255 }, (_, i) => holder(i + 1))

describe('slices', () => {
  it('takes 1 to 255 holders', () => {
    expect(allocationRoot(holders.slice(0, 1))).toBe(sliceLeaf(holder(1)))
    expect(createAllocation({ holders, cap: 1n, series: 0n }).allocation.count).toBe(255)
    expect(refusalOf(() => createAllocation({ holders: [], cap: 1n, series: 0n })).field).toBe('holders')
    expect(refusalOf(() => createAllocation({ holders: [...holders, holder(1)], cap: 1n, series: 0n })).field).toBe(
      'holders',
    )
  })

  it('gives each slice of one holder an id of its own', () => {
    const { slices } = createAllocation({ holders: [holder(1), holder(1)], cap: 1n, series: 0n })
    expect(slices.map(({ index }) => index)).toEqual([0, 1])
    const id = `0x${'11'.repeat(32)}` as const
    expect(sliceId(id, 0)).not.toBe(sliceId(id, 1))
  })

  it('commits to every member of an allocation, and to the order', () => {
    const order = `0x${'11'.repeat(32)}` as const
    const { allocation } = createAllocation({ holders: holders.slice(0, 3), cap: 5n, series: 7n })
    const ids = [
      allocationId(order, allocation),
      allocationId(`0x${'12'.repeat(32)}`, allocation),
      allocationId(order, { ...allocation, root: order }),
      allocationId(order, { ...allocation, count: 4 }),
      allocationId(order, { ...allocation, cap: 6n }),
      allocationId(order, { ...allocation, series: 8n }),
    ]
    expect(new Set(ids).size).toBe(ids.length)
  })

  it.each([[[1, 1]], [[2, 1]], [[-1]], [[0.5]], [[3]]])('proves nothing for the indexes %j', (indexes) => {
    expect(refusalOf(() => sliceProof(holders.slice(0, 3), indexes)).field).toBe('indexes')
  })

  it.each([1, 2, 3, 5, 8, 33])(
    'proves each slice of %i alone, and no other place or holder with its proof',
    (count) => {
      const some = holders.slice(0, count)
      const { allocation, slices } = createAllocation({ holders: some, cap: 1n, series: 0n })
      for (const slice of slices) {
        const proof = sliceProof(some, [slice.index])
        expect(verifySliceProof({ allocation, slice, proof })).toBe(true)
        expect(verifySliceProof({ allocation, slice: { ...slice, index: slice.index + 1 }, proof })).toBe(false)
        expect(verifySliceProof({ allocation, slice: { ...slice, node: `0x${'ab01'.repeat(10)}` }, proof })).toBe(false)
        expect(verifySliceProof({ allocation, slice: { ...slice, evidenceKey: `0x${'ee'.repeat(32)}` }, proof })).toBe(
          false,
        )
        expect(verifySliceProof({ allocation: { ...allocation, root: `0x${'ee'.repeat(32)}` }, slice, proof })).toBe(
          false,
        )
        expect(verifySliceProof({ allocation, slice, proof: [...proof, `0x${'00'.repeat(32)}`] })).toBe(false)
        expect(verifySliceProof({ allocation, slice, proof: proof.slice(1) })).toBe(proof.length === 0)
      }
      expect(verifySliceProof({ allocation, slice: { ...holder(1), index: -1 }, proof: [] })).toBe(false)
    },
  )

  it('no place without a slice can be proved: its index is not below the count', () => {
    const three = holders.slice(0, 3)
    const { allocation } = createAllocation({ holders: three, cap: 1n, series: 0n })
    const proof = sliceProof([...three, holder(4)], [3])
    expect(verifySliceProof({ allocation, slice: { ...holder(4), index: 3 }, proof })).toBe(false)
  })

  it.each([[[0]], [[0, 1]], [[1, 2]], [[0, 3, 4]], [[0, 1, 2, 3, 4]], [[4]]])(
    'combines the proofs of the slices %j into the one that the escrow takes',
    (indexes) => {
      const five = holders.slice(0, 5)
      const proven = indexes.map((index) => ({ index, proof: sliceProof(five, [index]) }))
      expect(combineSliceProofs(proven)).toEqual(sliceProof(five, indexes))
    },
  )

  it('combines nothing out of order, nor of different trees', () => {
    const proof = sliceProof(holders.slice(0, 3), [1])
    expect(combineSliceProofs([])).toEqual([])
    expect(refusalOf(() => combineSliceProofs([1, 1].map((index) => ({ index, proof })))).field).toBe('proven.index')
    const mixed = [
      { index: 0, proof: [] },
      { index: 1, proof },
    ]
    expect(refusalOf(() => combineSliceProofs(mixed)).field).toBe('proven.proof')
  })

  it('needs no proof for all slices, and none for no slice', () => {
    expect(sliceProof(holders.slice(0, 3), [])).toEqual([])
    expect(sliceProof(holders.slice(0, 4), [0, 1, 2, 3])).toEqual([])
  })

  it.each([
    ['node', { node: '0x11', evidenceKey: holder(1).evidenceKey }],
    ['evidenceKey', { node: holder(1).node, evidenceKey: '0x11' }],
  ] as const)('refuses a leaf with a bad %s', (field, bad) => {
    expect(refusalOf(() => sliceLeaf(bad)).field).toBe(field)
  })
})
