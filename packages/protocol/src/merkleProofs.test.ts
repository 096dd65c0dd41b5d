import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes32 } from '../test/arbitraries.js'
import { refusalOf } from '../test/refusal.js'
import { EMPTY_ROOT, leafHash, rootOfLeaves } from './merkle.js'
import {
  type ConsistencyClaim,
  type InclusionClaim,
  consistencyProof,
  inclusionProof,
  verifyConsistency,
  verifyInclusion,
} from './merkleProofs.js'
import type { Hex } from './types.js'

const leaves = Array.from({ length: 33 }, (_, i) => leafHash(`0x${i.toString(16).padStart(64, '0')}`))
const OTHER: Hex = `0x${'ab'.repeat(32)}`

function inclusionAt(size: number, index: number) {
  const own = leaves.slice(0, size)
  return { leaf: own[index] ?? OTHER, index, size, proof: inclusionProof(own, index), root: rootOfLeaves(own) }
}

function consistencyAt(firstSize: number, secondSize: number) {
  const second = leaves.slice(0, secondSize)
  return {
    firstSize,
    firstRoot: rootOfLeaves(leaves.slice(0, firstSize)),
    secondSize,
    secondRoot: rootOfLeaves(second),
    proof: consistencyProof(second, firstSize),
  }
}

const pair = fc
  .integer({ min: 1, max: 33 })
  .chain((size) => fc.tuple(fc.constant(size), fc.integer({ min: 0, max: size - 1 })))

describe('verifyInclusion', () => {
  it('holds for every leaf of every tree up to 33', () => {
    for (let size = 1; size <= leaves.length; size++) {
      for (let index = 0; index < size; index++) expect(verifyInclusion(inclusionAt(size, index))).toBe(true)
    }
  })

  it('fails for another leaf, index, size or root', () => {
    fc.assert(
      fc.property(pair, fc.integer({ min: 0, max: 40 }), ([size, index], other) => {
        const claim = inclusionAt(size, index)
        expect(verifyInclusion({ ...claim, leaf: OTHER })).toBe(false)
        expect(verifyInclusion({ ...claim, root: OTHER })).toBe(false)
        if (other !== index) expect(verifyInclusion({ ...claim, index: other })).toBe(false)
      }),
    )
  })

  it('fails for a proof that is cut, prolonged or changed in one place', () => {
    fc.assert(
      fc.property(pair, bytes32, fc.nat(), ([size, index], hash, at) => {
        const claim = inclusionAt(size, index)
        const { proof } = claim
        expect(verifyInclusion({ ...claim, proof: [...proof, hash] })).toBe(false)
        if (proof.length === 0) return
        expect(verifyInclusion({ ...claim, proof: proof.slice(1) })).toBe(false)
        expect(verifyInclusion({ ...claim, proof: proof.slice(0, -1) })).toBe(false)
        expect(verifyInclusion({ ...claim, proof: proof.with(at % proof.length, hash) })).toBe(false)
      }),
    )
  })

  const wrongInclusions: readonly (readonly [string, Partial<InclusionClaim>])[] = [
    ['an index at the size', { index: 5 }],
    ['a negative index', { index: -1 }],
    ['a fractional index', { index: 1.5 }],
    ['a size of zero', { index: 0, size: 0 }],
    ['a size that is no safe integer', { size: 2 ** 60 }],
    ['a size that is no number', { size: Number.NaN }],
    ['a proof with something else than hashes', { proof: ['0x12'] }],
    ['a proof of a million hashes', { proof: Array.from({ length: 1_000_000 }, () => OTHER) }],
    ['a root that is no hash', { root: '0x' }],
  ]
  it.each(wrongInclusions)('fails, and does not throw, for %s', (_, change) => {
    expect(verifyInclusion({ ...inclusionAt(5, 2), ...change })).toBe(false)
  })

  it('fails for an inner node that is passed off as a leaf', () => {
    const [left, right, third, fourth] = leaves as [Hex, Hex, Hex, Hex]
    const root = rootOfLeaves([left, right, third, fourth])
    const inner = rootOfLeaves([left, right])
    expect(verifyInclusion({ leaf: inner, index: 0, size: 4, proof: [rootOfLeaves([third, fourth])], root })).toBe(
      false,
    )
  })

  it('has no proof for a leaf that is not there', () => {
    expect(refusalOf(() => inclusionProof(leaves, leaves.length)).field).toBe('index')
    expect(refusalOf(() => inclusionProof([], 0)).field).toBe('index')
    expect(refusalOf(() => inclusionProof(leaves, 0.5)).field).toBe('index')
  })
})

describe('verifyConsistency', () => {
  it('holds between all trees up to 33', () => {
    for (let second = 0; second <= leaves.length; second++) {
      for (let first = 0; first <= second; first++) expect(verifyConsistency(consistencyAt(first, second))).toBe(true)
    }
  })

  it('fails where an earlier receipt was changed after its root had been published', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32 }), fc.nat(), (first, at) => {
        const rewritten = leaves.with(at % first, OTHER)
        const claim = {
          ...consistencyAt(first, leaves.length),
          secondRoot: rootOfLeaves(rewritten),
          proof: consistencyProof(rewritten, first),
        }
        expect(verifyConsistency(claim)).toBe(false)
      }),
    )
  })

  it('fails for a proof that is cut, prolonged or changed in one place', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 32 }), bytes32, fc.nat(), (first, hash, at) => {
        const claim = consistencyAt(first, leaves.length)
        const { proof } = claim
        expect(verifyConsistency({ ...claim, proof: [...proof, hash] })).toBe(false)
        expect(verifyConsistency({ ...claim, proof: proof.slice(1) })).toBe(false)
        expect(verifyConsistency({ ...claim, proof: proof.slice(0, -1) })).toBe(false)
        expect(verifyConsistency({ ...claim, proof: proof.with(at % proof.length, hash) })).toBe(false)
      }),
    )
  })

  const wrongConsistencies: readonly (readonly [string, Partial<ConsistencyClaim>])[] = [
    ['a first tree that is larger', { firstSize: 9 }],
    ['a second tree said to be larger than it is', { secondSize: 16 }],
    ['a negative size', { firstSize: -1 }],
    ['a fractional size', { firstSize: 2.5 }],
    ['a size that is no safe integer', { secondSize: 2 ** 60 }],
    ['an empty proof', { proof: [] }],
    ['another first root', { firstRoot: OTHER }],
    ['another second root', { secondRoot: OTHER }],
    ['an empty first tree with a root of its own', { firstSize: 0, firstRoot: OTHER, proof: [] }],
    ['an empty first tree with a proof', { firstSize: 0, firstRoot: EMPTY_ROOT }],
    ['equal sizes with other roots', { firstSize: 8, proof: [] }],
    ['a proof with something else than hashes', { proof: ['0x12'] }],
  ]
  it.each(wrongConsistencies)('fails, and does not throw, for %s', (_, change) => {
    expect(verifyConsistency({ ...consistencyAt(3, 8), ...change })).toBe(false)
  })

  it('has no proof for a first tree that is larger', () => {
    expect(refusalOf(() => consistencyProof(leaves, leaves.length + 1)).field).toBe('firstSize')
    expect(refusalOf(() => consistencyProof(leaves, -1)).field).toBe('firstSize')
  })
})
