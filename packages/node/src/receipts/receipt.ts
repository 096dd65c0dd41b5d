import { type Hex, type InferenceReceipt, type SignedReceipt, receiptDigest, receiptLeaf } from '@opg/protocol'
import type { EvidenceSigner } from './evidenceSigner.js'

/** Signs a receipt under the escrow's domain, and gives its leaf. */
export function signReceipt(
  signer: EvidenceSigner,
  { receipt, separator }: { readonly receipt: InferenceReceipt; readonly separator: Hex },
): { readonly signedReceipt: SignedReceipt; readonly leaf: Hex } {
  const signature = signer.signDigest(receiptDigest(separator, receipt))
  return { signedReceipt: { receipt, signature, signer: signer.signer }, leaf: receiptLeaf(receipt) }
}
