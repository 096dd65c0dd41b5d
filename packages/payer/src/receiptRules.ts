import { EMPTY_ROOT, type InferenceReceipt, hashStruct, receiptLeaf, rootOfLeaves } from '@opg/protocol'
import type { Evidence } from './evidence.js'
import type { SettledEvent } from './fetchSettlements.js'

/** Whether two receipts say the same. Their signatures may differ: one key signs one receipt in many ways (F21). */
export function sameReceipt(a: InferenceReceipt, b: InferenceReceipt): boolean {
  return hashStruct('InferenceReceipt', a) === hashStruct('InferenceReceipt', b)
}

/**
 * Whether totals add up: a receipt's own (`cumulativeFee` is at least `fee`, and equal to it for `seq` 0), and those of
 * a later one after it: exact where they are neighbours, and never falling where others stand between them.
 */
export function addUp(earlier: InferenceReceipt, later?: InferenceReceipt): boolean {
  if (later === undefined) {
    return earlier.seq === 0n ? earlier.cumulativeFee === earlier.fee : earlier.cumulativeFee >= earlier.fee
  }
  if (later.seq <= earlier.seq) return true // says nothing
  const least = earlier.cumulativeFee + later.fee
  return later.seq === earlier.seq + 1n ? later.cumulativeFee === least : later.cumulativeFee >= least
}

/**
 * Whether a settlement's root is that of these receipts, which are all that it counts, by `seq`. A settlement by the
 * enclave's signature over the order's last receipt has that receipt's leaf for a root, never closes, and is not for slices
 * (SPEC section 5). One by a gateway's receipt has that receipt's leaf: nothing that the node signed says which.
 */
export function isRootOf(
  settlement: SettledEvent,
  { receipts, evidence }: { readonly receipts: readonly InferenceReceipt[]; readonly evidence: Evidence },
): boolean {
  if (evidence.kind === 'gateway') return true
  const leaves = receipts.map(receiptLeaf)
  const last = leaves.at(-1)
  if (last === undefined) return settlement.receiptsRoot === EMPTY_ROOT
  return (
    settlement.receiptsRoot === rootOfLeaves(leaves) || (settlement.refund === 0n && settlement.receiptsRoot === last)
  )
}
