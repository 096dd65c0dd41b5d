import { InvalidInputError } from './errors.js'
import { hashStruct } from './hashStruct.js'
import type { Allocation, Hex, Slice, SliceHolder } from './types.js'
import { ZERO_BYTES32 } from './constants.js'
import { Words, bytesOfHex, keccak } from './words.js'

/** The most slices of one allocation: the bitmap of those not settled is one word. */
export const MAX_SLICES = 255

/** An allocation with its slices, in order of their indexes. */
export interface SliceTree {
  readonly allocation: Allocation
  readonly slices: readonly Slice[]
}

/** The leaf of a slice: `keccak256(0x00 ‖ node ‖ evidenceKey)`, of 53 bytes, while an inner node is of 64. */
export function sliceLeaf({ node, evidenceKey }: SliceHolder): Hex {
  return keccak(
    Uint8Array.of(
      0x00,
      ...bytesOf(node, { length: 20, field: 'node' }),
      ...bytesOf(evidenceKey, { length: 32, field: 'evidenceKey' }),
    ),
  )
}

/** The id of an allocation: its EIP-712 struct hash, with the order's id in front. The facilitator signs it. */
export function allocationId(orderId: Hex, allocation: Allocation): Hex {
  return hashStruct('Allocation', { orderId, ...allocation })
}

/** The id that stands for a slice wherever an order's would stand: `keccak256(abi.encode(allocationId, index))`. */
export function sliceId(allocationId: Hex, index: number): Hex {
  const words = new Words(2)
  words.writeHex(0, allocationId, { length: 32, field: 'allocationId' })
  words.writeUint(1, index, { bits: 8, field: 'index' })
  return words.hash()
}

/**
 * Divides an order among holders, one slice of `cap` base units each. The same holder may have several.
 *
 * @throws {InvalidInputError} if there are none, or more than 255
 */
export function createAllocation(input: {
  readonly holders: readonly SliceHolder[]
  readonly cap: bigint
  readonly series: bigint
}): SliceTree {
  const { holders, cap, series } = input
  const allocation = { root: allocationRoot(holders), count: holders.length, cap, series }
  return { allocation, slices: holders.map(({ node, evidenceKey }, index) => ({ node, evidenceKey, index })) }
}

/**
 * Root of the holders' tree: `2^depth` places, the fewest that hold all leaves, those without a slice zero; an inner
 * node is `keccak256(left ‖ right)`.
 *
 * @throws {InvalidInputError} if there are no holders, or more than 255
 */
export function allocationRoot(holders: readonly SliceHolder[]): Hex {
  return climb(placesOf(holders), []).root
}

/**
 * What leads from the leaves of the slices at `indexes` to the root: siblings, level by level from the leaves upwards,
 * from left to right. For all slices nothing but the zeros of places without one, and for none nothing.
 *
 * @throws {InvalidInputError} if there is no slice at an index, or the indexes do not rise
 */
export function sliceProof(holders: readonly SliceHolder[], indexes: readonly number[]): Hex[] {
  const places = placesOf(holders)
  let last = -1
  for (const index of indexes) {
    if (!Number.isInteger(index) || index <= last || index >= holders.length) {
      const expected = `rising whole numbers below ${String(holders.length)}`
      throw new InvalidInputError({ field: 'indexes', expected, value: index })
    }
    last = index
  }
  return indexes.length === 0 ? [] : climb(places, indexes).proof
}

/**
 * Whether the holder of a slice is at its index in the allocation: what `sliceProof(holders, [index])` proves.
 *
 * @throws {InvalidInputError} if a member does not fit its type
 */
export function verifySliceProof(input: {
  readonly allocation: Allocation
  readonly slice: Slice
  readonly proof: readonly Hex[]
}): boolean {
  const { allocation, slice, proof } = input
  const { root, count } = allocation
  if (!Number.isInteger(slice.index) || slice.index < 0 || slice.index >= count || count > MAX_SLICES) return false
  if (proof.length !== depthOf(count)) return false
  let place = slice.index
  let node = sliceLeaf(slice)
  for (const sibling of proof) {
    node = place % 2 === 0 ? innerNode(node, sibling) : innerNode(sibling, node)
    place = Math.floor(place / 2)
  }
  return node === root.toLowerCase()
}

/**
 * One proof for several slices of an allocation, as `settleSlices` takes it, from the proofs of each: a holder of
 * several slices needs to know nobody else's.
 *
 * @param proven in order of their indexes, each with its proof of `sliceProof(holders, [index])`
 * @throws {InvalidInputError} if the indexes do not rise, or the proofs are of different lengths
 */
export function combineSliceProofs(
  proven: readonly { readonly index: number; readonly proof: readonly Hex[] }[],
): Hex[] {
  const depth = proven[0]?.proof.length ?? 0
  proven.forEach(({ index, proof }, i) => {
    if (index <= (proven[i - 1]?.index ?? -1)) {
      throw new InvalidInputError({ field: 'proven.index', expected: 'rising whole numbers', value: index })
    }
    if (proof.length !== depth) {
      throw new InvalidInputError({ field: 'proven.proof', expected: `${String(depth)} hashes`, value: proof.length })
    }
  })
  const combined: Hex[] = []
  let places = new Map(proven.map(({ index, proof }) => [index, proof]))
  for (let level = 0; level < depth; level++) {
    for (const [place, proof] of places) {
      const sibling = proof[level]
      if (!places.has(place % 2 === 0 ? place + 1 : place - 1) && sibling !== undefined) combined.push(sibling)
    }
    places = new Map([...places].map(([place, proof]) => [Math.floor(place / 2), proof]))
  }
  return combined
}

function depthOf(count: number): number {
  return Math.ceil(Math.log2(count))
}

function placesOf(holders: readonly SliceHolder[]): readonly Hex[] {
  if (holders.length === 0 || holders.length > MAX_SLICES) {
    const expected = `1 to ${String(MAX_SLICES)} of them`
    throw new InvalidInputError({ field: 'holders', expected, value: holders.length })
  }
  const places = 2 ** depthOf(holders.length)
  return [...holders.map(sliceLeaf), ...Array.from({ length: places - holders.length }, () => ZERO_BYTES32)]
}

/** Level by level to the root; `proof` has each node that is not known from `indexes` but is next to one that is. */
function climb(leaves: readonly Hex[], indexes: readonly number[]): { readonly root: Hex; readonly proof: Hex[] } {
  const proof: Hex[] = []
  let known = new Set(indexes)
  let level = leaves
  while (level.length > 1) {
    const above: Hex[] = []
    for (let place = 0; place < level.length; place += 2) {
      const [left = ZERO_BYTES32, right = ZERO_BYTES32] = [level[place], level[place + 1]]
      if (known.has(place) && !known.has(place + 1)) proof.push(right)
      if (known.has(place + 1) && !known.has(place)) proof.push(left)
      above.push(innerNode(left, right))
    }
    level = above
    known = new Set([...known].map((place) => Math.floor(place / 2)))
  }
  return { root: level[0] ?? ZERO_BYTES32, proof }
}

function innerNode(left: Hex, right: Hex): Hex {
  const words = new Words(2)
  words.writeHex(0, left, { length: 32, field: 'left' })
  words.writeHex(1, right, { length: 32, field: 'right' })
  return words.hash()
}

function bytesOf(value: Hex, { length, field }: { readonly length: number; readonly field: string }): Uint8Array {
  const bytes = bytesOfHex(value)
  if (bytes?.length !== length) throw new InvalidInputError({ field, expected: `${String(length)} bytes`, value })
  return bytes
}
