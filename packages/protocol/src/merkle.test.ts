import { concat, keccak256 } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes32 } from '../test/arbitraries.js'
import { refusalOf } from '../test/refusal.js'
import {
  EMPTY_ROOT,
  EMPTY_TREE,
  type MerkleTree,
  appendLeaf,
  leafHash,
  nodeHash,
  packTree,
  rootOfLeaves,
  treeRoot,
  unpackTree,
} from './merkle.js'
import type { Hex } from './types.js'

/** RFC 9162, section 2.1.1, word for word. */
function rootByDefinition(leaves: readonly Hex[]): Hex {
  const [first] = leaves
  if (first === undefined) return keccak256('0x') as Hex
  if (leaves.length === 1) return first
  const split = 2 ** Math.floor(Math.log2(leaves.length - 1))
  return nodeHash(rootByDefinition(leaves.slice(0, split)), rootByDefinition(leaves.slice(split)))
}

const grow = (leaves: readonly Hex[]): MerkleTree => leaves.reduce(appendLeaf, EMPTY_TREE)

describe('appendLeaf', () => {
  it('keeps the root that the definition gives, after every leaf', () => {
    fc.assert(
      fc.property(fc.array(bytes32, { maxLength: 40 }), (leaves) => {
        let tree = EMPTY_TREE
        leaves.forEach((leaf, i) => {
          tree = appendLeaf(tree, leaf)
          expect(treeRoot(tree)).toBe(rootByDefinition(leaves.slice(0, i + 1)))
          expect(tree.size).toBe(i + 1)
        })
        expect(rootOfLeaves(leaves)).toBe(rootByDefinition(leaves))
      }),
      { numRuns: 30 },
    )
  })

  it('keeps one hash for each bit of the size', () => {
    const leaves = Array.from({ length: 1000 }, (_, i) => leafHash(`0x${i.toString(16).padStart(64, '0')}`))
    expect(grow(leaves).frontier).toHaveLength(6) // 1000 is 1111101000
    expect(grow(leaves.slice(0, 512)).frontier).toHaveLength(1)
  })

  it('leaves the tree that it was given as it was', () => {
    const tree = grow([EMPTY_ROOT, EMPTY_ROOT, EMPTY_ROOT])
    const copy = structuredClone(tree)
    appendLeaf(tree, EMPTY_ROOT)
    expect(tree).toEqual(copy)
  })

  it.each(['0x', '0x1234', `0x${'11'.repeat(33)}`, `0x${'zz'.repeat(32)}`] as const)('refuses the leaf %s', (leaf) => {
    expect(refusalOf(() => appendLeaf(EMPTY_TREE, leaf)).code).toBe('INVALID_INPUT')
  })

  it('refuses a tree whose frontier does not fit its size', () => {
    expect(refusalOf(() => appendLeaf({ size: 1, frontier: [] }, EMPTY_ROOT)).field).toBe('tree.frontier')
  })
})

describe('domains of leaves and nodes', () => {
  it('lie apart by their first byte: an inner node never passes for a leaf', () => {
    fc.assert(
      fc.property(bytes32, bytes32, (left, right) => {
        expect(leafHash(left)).toBe(keccak256(concat(['0x00', left])))
        expect(nodeHash(left, right)).toBe(keccak256(concat(['0x01', left, right])))
      }),
    )
  })

  it('makes the root of one leaf the leaf', () => {
    expect(rootOfLeaves([EMPTY_ROOT])).toBe(EMPTY_ROOT)
    expect(EMPTY_ROOT).toBe(keccak256('0x'))
  })
})

describe('packTree', () => {
  it('comes back as it was, and grows on to the same root', () => {
    fc.assert(
      fc.property(fc.array(bytes32, { maxLength: 70 }), bytes32, (leaves, next) => {
        const tree = grow(leaves)
        const back = unpackTree(packTree(tree))
        expect(back).toEqual(tree)
        expect(treeRoot(appendLeaf(back, next))).toBe(rootOfLeaves([...leaves, next]))
      }),
      { numRuns: 30 },
    )
  })

  it('reads a part of a larger buffer, as databases hand them out', () => {
    const packed = packTree(grow([EMPTY_ROOT, EMPTY_ROOT, EMPTY_ROOT]))
    const larger = new Uint8Array(packed.length + 10)
    larger.set(packed, 5)
    expect(unpackTree(larger.subarray(5, 5 + packed.length))).toEqual(unpackTree(packed))
  })

  it.each([
    ['nothing', new Uint8Array()],
    ['a cut size', new Uint8Array(7)],
    ['a size without its hashes', Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 1)],
    ['hashes without a size', new Uint8Array(8 + 32)],
    ['a size that is no safe integer', new Uint8Array(8 + 64 * 32).fill(255)],
  ])('refuses %s', (_, packed) => {
    expect(refusalOf(() => unpackTree(packed)).field).toBe('tree')
  })
})
