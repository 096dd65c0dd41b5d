import { KeyUnusableError } from '@opg/operator'
import { type Address, type Hex, ZERO_BYTES32 } from '@opg/protocol'
import { zeroPadValue } from 'ethers'
import type { AcceptedVerifier, VerifierInput } from './acceptedVerifier.js'
import type { EvidenceSigner } from './evidenceSigner.js'

/**
 * `KeyReceiptVerifier`: orders may name the signer's address, or zero where the node's own key signs.
 *
 * @throws {KeyUnusableError} if the signer is no ECDSA key
 */
export function acceptKeyVerifier({ address, codeHash, signer, node }: VerifierInput): AcceptedVerifier {
  requireEcdsa(signer, 'KeyReceiptVerifier')
  return {
    address,
    codeHash,
    evidenceKeys: nodeKeysOf(signer, node),
    signer,
    takesVouchers: false,
    isRemote: false,
    provable: (planned) => planned,
    prove: ({ digest }) => Promise.resolve(signer.signDigest(digest)),
  }
}

/** What names an ECDSA key as evidence key: its address, and zero if it is the node's own. */
export function nodeKeysOf({ evidenceKey }: EvidenceSigner, node: Address): readonly Hex[] {
  return evidenceKey === zeroPadValue(node, 32).toLowerCase() ? [ZERO_BYTES32, evidenceKey] : [evidenceKey]
}

/** @throws {KeyUnusableError} */
export function requireEcdsa({ signer }: EvidenceSigner, contract: string): void {
  if (signer.kind !== 'ecdsa') throw new KeyUnusableError(`The evidence key of a ${contract}`, 'an ECDSA key')
}
