import { InvalidInputError } from './errors.js'
import { EMPTY_ROOT, nodeHash, rootOfLeaves } from './merkle.js'
import type { Hex } from './types.js'

/**
 * A claim that `leaf` stands at `index` in a tree of `size` leaves with this `root`. It proves something only if the
 * verifier hashed the leaf itself (`receiptLeaf`), and has `size` and `root` from evidence (`OrderSettled`).
 */
export interface InclusionClaim {
  readonly leaf: Hex
  readonly index: number
  readonly size: number
  readonly proof: readonly Hex[]
  readonly root: Hex
}

/** A claim that the tree of the first root is the beginning of the tree of the second. */
export interface ConsistencyClaim {
  readonly firstSize: number
  readonly firstRoot: Hex
  readonly secondSize: number
  readonly secondRoot: Hex
  readonly proof: readonly Hex[]
}

const BYTES32 = /^0x[0-9a-fA-F]{64}$/

/**
 * Proof that a leaf is in the tree of `leaves`, from the leaf upwards (RFC 9162, 2.1.3.1).
 *
 * @throws {InvalidInputError} if there is no such leaf
 */
export function inclusionProof(leaves: readonly Hex[], index: number): Hex[] {
  if (!Number.isInteger(index) || index < 0 || index >= leaves.length) {
    throw new InvalidInputError({
      field: 'index',
      expected: `a whole number below ${String(leaves.length)}`,
      value: index,
    })
  }
  if (leaves.length === 1) return []
  const split = splitPoint(leaves.length)
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)]
  return index < split
    ? [...inclusionProof(left, index), rootOfLeaves(right)]
    : [...inclusionProof(right, index - split), rootOfLeaves(left)]
}

/** Whether the claim holds (RFC 9162, 2.1.3.2). False on any proof that does not have the one right length and form. */
export function verifyInclusion({ leaf, index, size, proof, root }: InclusionClaim): boolean {
  if (!isCount(index) || !isCount(size) || index >= size || !areHashes([leaf, root, ...proof])) return false
  let [at, last] = [index, size - 1]
  let hash = leaf
  for (const sibling of proof) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      hash = nodeHash(sibling, hash)
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)]
    } else {
      hash = nodeHash(hash, sibling)
    }
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && sameHash(hash, root)
}

/**
 * Proof that the tree of the first `firstSize` of `leaves` is the beginning of the tree of them all (RFC 9162, 2.1.4.1).
 * Empty where the first tree is empty or the whole.
 *
 * @throws {InvalidInputError} if there are fewer leaves
 */
export function consistencyProof(leaves: readonly Hex[], firstSize: number): Hex[] {
  if (!Number.isInteger(firstSize) || firstSize < 0 || firstSize > leaves.length) {
    throw new InvalidInputError({
      field: 'firstSize',
      expected: `a whole number up to ${String(leaves.length)}`,
      value: firstSize,
    })
  }
  return firstSize === 0 ? [] : subproof({ leaves, firstSize, isWhole: true })
}

function subproof(input: {
  readonly leaves: readonly Hex[]
  readonly firstSize: number
  readonly isWhole: boolean
}): Hex[] {
  const { leaves, firstSize, isWhole } = input
  if (firstSize === leaves.length) return isWhole ? [] : [rootOfLeaves(leaves)]
  const split = splitPoint(leaves.length)
  const [left, right] = [leaves.slice(0, split), leaves.slice(split)]
  return firstSize <= split
    ? [...subproof({ leaves: left, firstSize, isWhole }), rootOfLeaves(right)]
    : [...subproof({ leaves: right, firstSize: firstSize - split, isWhole: false }), rootOfLeaves(left)]
}

/** Whether the claim holds (RFC 9162, 2.1.4.2). Any tree begins with the empty one. */
export function verifyConsistency(claim: ConsistencyClaim): boolean {
  const { firstSize, firstRoot, secondSize, secondRoot, proof } = claim
  if (!isCount(firstSize) || !isCount(secondSize) || firstSize > secondSize) return false
  if (!areHashes([firstRoot, secondRoot, ...proof])) return false
  if (firstSize === 0 && !sameHash(firstRoot, EMPTY_ROOT)) return false
  if (secondSize === 0 && !sameHash(secondRoot, EMPTY_ROOT)) return false
  if (firstSize === secondSize) return proof.length === 0 && sameHash(firstRoot, secondRoot)
  if (firstSize === 0) return proof.length === 0

  let [at, last] = [firstSize - 1, secondSize - 1]
  while (at % 2 === 1) [at, last] = [half(at), half(last)]
  // A first tree that is one full subtree is its own first step.
  const steps = at === 0 ? [firstRoot, ...proof] : proof
  const [start, ...rest] = steps
  if (start === undefined) return false
  let [first, second] = [start, start]
  for (const sibling of rest) {
    if (last === 0) return false
    if (at % 2 === 1 || at === last) {
      first = nodeHash(sibling, first)
      second = nodeHash(sibling, second)
      while (at % 2 === 0 && at !== 0) [at, last] = [half(at), half(last)]
    } else {
      second = nodeHash(second, sibling)
    }
    ;[at, last] = [half(at), half(last)]
  }
  return last === 0 && sameHash(first, firstRoot) && sameHash(second, secondRoot)
}

/** The largest power of two below `size`. */
function splitPoint(size: number): number {
  let split = 1
  while (split * 2 < size) split *= 2
  return split
}

function half(value: number): number {
  return Math.floor(value / 2)
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function areHashes(values: readonly Hex[]): boolean {
  return values.every((value) => BYTES32.test(value))
}

function sameHash(a: Hex, b: Hex): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
