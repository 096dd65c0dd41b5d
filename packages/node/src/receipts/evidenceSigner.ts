import type { Hex, ReceiptSigner } from '@opg/protocol'

/** Signs receipts and settlements. What it holds never shows in its fields, errors or JSON (N8). */
export interface EvidenceSigner {
  /** As receipts name it. */
  readonly signer: ReceiptSigner
  /** bytes32: the address of an ECDSA key, the teeId of an RSA key. */
  readonly evidenceKey: Hex
  /** Signs 32 bytes: ECDSA as a digest, RSA-PSS as its message. At once, since it runs inside a transaction (F12). */
  signDigest(digest: Hex): Hex
}
