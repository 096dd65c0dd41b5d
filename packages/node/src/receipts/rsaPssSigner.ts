import { KeyUnusableError } from '@opg/operator'
import { type KeyObject, constants, createPrivateKey, createPublicKey, sign } from 'node:crypto'
import { getBytes, hexlify, keccak256 } from 'ethers'
import type { Hex } from '@opg/protocol'
import type { EvidenceSigner } from './evidenceSigner.js'

const MODULUS_BITS: readonly (number | undefined)[] = [2048, 3072, 4096]
const PUBLIC_EXPONENT = 65_537n
/** As OpenGradient's verifier asks for it, strictly. */
export const SALT_LENGTH = 32

/**
 * A receipt signer with an enclave's RSA key, for `TeeReceiptVerifier`: RSA-PSS, SHA-256, MGF1-SHA-256, salt of 32.
 *
 * @param privateKeyPem PKCS#8 or PKCS#1, not encrypted
 * @throws {KeyUnusableError} if it is no RSA key of 2048, 3072 or 4096 bits with exponent 65537; never shows it
 */
export function rsaPssSigner(privateKeyPem: string): EvidenceSigner {
  const key = readKey(privateKeyPem)
  const teeId = teeIdOf(createPublicKey(key))
  return {
    signer: { kind: 'rsa-pss', teeId },
    evidenceKey: teeId,
    signDigest: (digest) =>
      hexlify(
        sign('sha256', getBytes(digest), {
          key,
          padding: constants.RSA_PKCS1_PSS_PADDING,
          saltLength: SALT_LENGTH,
        }),
      ) as Hex,
  }
}

/** The id of an enclave: keccak256 of its public key as SPKI DER. */
export function teeIdOf(publicKey: KeyObject): Hex {
  return keccak256(publicKey.export({ type: 'spki', format: 'der' })) as Hex
}

/** Whether the chain's verifiers take signatures of such a key: RSA of 2048, 3072 or 4096 bits with exponent 65537. */
export function isUsableRsaKey({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  return (
    asymmetricKeyType === 'rsa' &&
    MODULUS_BITS.includes(asymmetricKeyDetails?.modulusLength) &&
    asymmetricKeyDetails?.publicExponent === PUBLIC_EXPONENT
  )
}

function readKey(privateKeyPem: string): KeyObject {
  const error = new KeyUnusableError(
    'The enclave key',
    'an RSA private key as PEM, of 2048, 3072 or 4096 bits, with exponent 65537',
  )
  let key: KeyObject
  try {
    key = createPrivateKey(privateKeyPem)
  } catch {
    throw error // without the cause, which might quote the key
  }
  if (!isUsableRsaKey(key)) throw error
  return key
}
