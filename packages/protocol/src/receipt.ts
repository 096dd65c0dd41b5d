import { hashStruct } from './hashStruct.js'
import { typedDigest } from './domain.js'
import { leafHash } from './merkle.js'
import type { Hex, InferenceReceipt } from './types.js'

/** A receipt's leaf in its order's tree: `keccak256(0x00 ‖ hashStruct(receipt))`. */
export function receiptLeaf(receipt: InferenceReceipt): Hex {
  return leafHash(hashStruct('InferenceReceipt', receipt))
}

/** What the evidence key signs; RSA-PSS takes these 32 bytes as its message. `separator` is the escrow's. */
export function receiptDigest(separator: Hex, receipt: InferenceReceipt): Hex {
  return typedDigest(separator, hashStruct('InferenceReceipt', receipt))
}
