import { InvalidInputError } from './errors.js'
import { hashStruct } from './hashStruct.js'
import { rootOfLeaves } from './merkle.js'
import { inclusionProof } from './merkleProofs.js'
import type { Allocation, Hex, Slice, SliceHolder } from './types.js'
import { Words, bytesOfHex, keccak } from './words.js'

/** The most slices of one allocation: the bitmap of those not settled is one word. */
export const MAX_SLICES = 255

/** An allocation with all that its nodes need. */
export interface SliceTree {
  readonly allocation: Allocation
  /** In the order of their indexes. */
  readonly slices: readonly Slice[]
}

/** The leaf of a slice: `keccak256(0x00 ‖ node ‖ evidenceKey)`, 53 bytes, while an inner node is of 65. */
export function sliceLeaf({ node, evidenceKey }: SliceHolder): Hex {
  return keccak(
    Uint8Array.of(
      0x00,
      ...bytesOf(node, { length: 20, field: 'node' }),
      ...bytesOf(evidenceKey, { length: 32, field: 'evidenceKey' }),
    ),
  )
}

/** The id of an allocation: its EIP-712 struct hash, with the order's id in front. What the facilitator signs. */
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
  if (holders.length === 0 || holders.length > MAX_SLICES) {
    throw new InvalidInputError({ field: 'holders', expected: `1 to ${String(MAX_SLICES)} of them`, value: holders.length })
  }
  const leaves = holders.map(sliceLeaf)
  const slices = holders.map(({ node, evidenceKey }, index) => ({
    node,
    evidenceKey,
    index,
    proof: inclusionProof(leaves, index),
  }))
  return { allocation: { root: rootOfLeaves(leaves), count: holders.length, cap, series }, slices }
}

function bytesOf(value: Hex, { length, field }: { readonly length: number; readonly field: string }): Uint8Array {
  const bytes = bytesOfHex(value)
  if (bytes?.length !== length) throw new InvalidInputError({ field, expected: `${String(length)} bytes`, value })
  return bytes
}
