import { KeyUnusableError } from '@opg/operator'
import type { Address, Hex } from '@opg/protocol'
import { concat, zeroPadValue } from 'ethers'
import type { AcceptedVerifier, VerifierInput } from './acceptedVerifier.js'

/** Form 0 of `TeeReceiptVerifier`: one signature over the digest. */
const FORM_DIGEST = '0x00'

/**
 * `TeeReceiptVerifier`: orders may name the teeId, or, where the registry's owner of the enclave is the node
 * (`ownsTee`), the node itself.
 *
 * @throws {KeyUnusableError} if the signer is no enclave's key
 */
export function acceptTeeVerifier(input: VerifierInput & { readonly ownsTee: boolean }): AcceptedVerifier {
  const { address, codeHash, signer } = input
  const teeId = signer.evidenceKey
  if (signer.signer.kind !== 'rsa-pss') {
    throw new KeyUnusableError('The evidence key of a TeeReceiptVerifier', 'an RSA key')
  }
  return {
    address,
    codeHash,
    evidenceKeys: teeKeysOf({ ...input, teeId }),
    signer,
    takesVouchers: false,
    isRemote: false,
    provable: (planned) => planned,
    prove: ({ digest }) => Promise.resolve(concat([FORM_DIGEST, teeId, signer.signDigest(digest)]) as Hex),
  }
}

/** What names an enclave as evidence key: its teeId, and its owner's address if that is the node. */
export function teeKeysOf(input: {
  readonly teeId: Hex
  readonly node: Address
  readonly ownsTee: boolean
}): readonly Hex[] {
  const { teeId, node, ownsTee } = input
  return ownsTee ? [teeId, zeroPadValue(node, 32).toLowerCase() as Hex] : [teeId]
}
