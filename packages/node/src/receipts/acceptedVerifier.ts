import { concat, zeroPadValue } from 'ethers'
import { type Address, type Hex, type Terms, ZERO_BYTES32 } from '@opg/protocol'
import { KeyUnusableError } from '../errors.js'
import type { EvidenceSigner } from './evidenceSigner.js'

/** A verifier whose judgement this node accepts, and how it convinces it. */
export interface AcceptedVerifier {
  readonly address: Address
  /** keccak256 of the code that must stand there (F2). */
  readonly codeHash: Hex
  /** What an order's `evidenceKey` may be: all of them are this node's own. */
  readonly evidenceKeys: readonly Hex[]
  readonly signer: EvidenceSigner
  /** Evidence for `settle`: `signature` is the signer's over the digest of the batch. */
  readonly encodeEvidence: (signature: Hex) => Hex
}

interface VerifierInput {
  readonly address: Address
  readonly codeHash: Hex
  readonly signer: EvidenceSigner
  readonly node: Address
}

/** Form 0 of `TeeReceiptVerifier`: one signature over the digest. */
const FORM_DIGEST = '0x00'

/**
 * `KeyReceiptVerifier`: orders may name the signer's address, or zero where the node's own key signs.
 *
 * @throws {KeyUnusableError} if the signer is no ECDSA key
 */
export function acceptKeyVerifier({ address, codeHash, signer, node }: VerifierInput): AcceptedVerifier {
  if (signer.signer.kind !== 'ecdsa') {
    throw new KeyUnusableError('The evidence key of a KeyReceiptVerifier', 'an ECDSA key')
  }
  const isNodeKey = signer.evidenceKey === zeroPadValue(node, 32).toLowerCase()
  return {
    address,
    codeHash,
    evidenceKeys: isNodeKey ? [ZERO_BYTES32, signer.evidenceKey] : [signer.evidenceKey],
    signer,
    encodeEvidence: (signature) => signature,
  }
}

/**
 * `TeeReceiptVerifier`: orders may name the teeId, or, where the registry's owner of the enclave is the node
 * (`ownsTee`), the node itself.
 *
 * @throws {KeyUnusableError} if the signer is no enclave's key
 */
export function acceptTeeVerifier(input: VerifierInput & { readonly ownsTee: boolean }): AcceptedVerifier {
  const { address, codeHash, signer, node, ownsTee } = input
  const teeId = signer.evidenceKey
  if (signer.signer.kind !== 'rsa-pss') {
    throw new KeyUnusableError('The evidence key of a TeeReceiptVerifier', 'an RSA key')
  }
  return {
    address,
    codeHash,
    evidenceKeys: ownsTee ? [teeId, zeroPadValue(node, 32).toLowerCase() as Hex] : [teeId],
    signer,
    encodeEvidence: (signature) => concat([FORM_DIGEST, teeId, signature]) as Hex,
  }
}

/** The accepted verifier of these terms, if the evidence that they ask for is this node's own. */
export function verifierFor(verifiers: readonly AcceptedVerifier[], terms: Terms): AcceptedVerifier | undefined {
  return verifiers.find(
    ({ address, evidenceKeys }) => address === terms.verifier && evidenceKeys.includes(terms.evidenceKey),
  )
}
