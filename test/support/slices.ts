import { AbiCoder, TypedDataEncoder, ZeroHash, concat, keccak256 } from 'ethers'
import { BATCH_TYPES, escrowDomain, type Home } from './typedData'

/** Slices of routed orders, written a second time by hand from the specification (E12). */

export interface Allocation {
  readonly root: string
  readonly count: number
  readonly cap: bigint
  readonly series: bigint
}

/** Who may settle a slice: one leaf of an allocation's tree. */
export interface Holder {
  readonly node: string
  readonly evidenceKey: string
}

export interface SliceRow extends Holder {
  readonly index: number
  readonly fee: bigint
  readonly receiptsRoot: string
  readonly receiptCount: bigint
  readonly evidence: string
}

export const ALLOCATION_TYPES = {
  Allocation: [
    { type: 'bytes32', name: 'orderId' },
    { type: 'bytes32', name: 'root' },
    { type: 'uint8', name: 'count' },
    { type: 'uint96', name: 'cap' },
    { type: 'uint64', name: 'series' },
  ],
}

export function allocationIdOf(orderId: string, allocation: Allocation): string {
  return TypedDataEncoder.hashStruct('Allocation', ALLOCATION_TYPES, { orderId, ...allocation })
}

export function sliceIdOf(allocationId: string, index: number): string {
  return keccak256(AbiCoder.defaultAbiCoder().encode(['bytes32', 'uint256'], [allocationId, index]))
}

export function sliceLeafOf({ node, evidenceKey }: Holder): string {
  return keccak256(concat(['0x00', node, evidenceKey]))
}

/** The tree from its leaves, places without a slice among them, up to the root. */
function levelsOf(holders: readonly Holder[]): readonly (readonly string[])[] {
  let level = holders.map(sliceLeafOf)
  while (level.length === 0 || (level.length & (level.length - 1)) !== 0) level.push(ZeroHash)
  const levels = [level]
  while (level.length > 1) {
    const below = level
    level = Array.from({ length: below.length / 2 }, (_, place) =>
      keccak256(concat([below[2 * place] ?? ZeroHash, below[2 * place + 1] ?? ZeroHash])),
    )
    levels.push(level)
  }
  return levels
}

export function rootOf(holders: readonly Holder[]): string {
  return levelsOf(holders).at(-1)?.[0] ?? ZeroHash
}

/** Level by level, from left to right: each sibling that the leaves at `indexes` do not give. */
export function sliceProofOf(holders: readonly Holder[], indexes: readonly number[]): string[] {
  const proof: string[] = []
  let places = new Set(indexes)
  for (const level of levelsOf(holders).slice(0, -1)) {
    for (const place of [...places].sort((a, b) => a - b)) {
      const sibling = place ^ 1
      if (!places.has(sibling)) proof.push(level[sibling] ?? ZeroHash)
    }
    places = new Set([...places].map((place) => place >> 1))
  }
  return proof
}

/** What the evidence key of a slice signs. */
export function sliceMessage(sliceId: string, row: Omit<SliceRow, 'evidence'>): Record<string, unknown> {
  const { node, evidenceKey, fee, receiptsRoot, receiptCount } = row
  const settlement = { orderId: sliceId, cumulativeFee: fee, receiptsRoot, receiptCount, close: true }
  return { node, evidenceKey, settlements: [settlement] }
}

export function sliceDigest(home: Home, sliceId: string, row: Omit<SliceRow, 'evidence'>): string {
  return TypedDataEncoder.hash(escrowDomain(home), BATCH_TYPES, sliceMessage(sliceId, row))
}
