import { KeyUnusableError } from '@opg/operator'
import { SigningKey, computeAddress, zeroPadValue } from 'ethers'
import type { Hex } from '@opg/protocol'
import type { EvidenceSigner } from './evidenceSigner.js'

const PRIVATE_KEY = /^0x[0-9a-fA-F]{64}$/

/**
 * A receipt signer with an ECDSA key, for `KeyReceiptVerifier`. Signatures have 65 bytes.
 *
 * @param privateKey 32 bytes
 * @throws {KeyUnusableError} if it is no key; the error never shows it
 */
export function ecdsaSigner(privateKey: string): EvidenceSigner {
  const key = readKey(privateKey)
  return {
    signer: { kind: 'ecdsa' },
    evidenceKey: zeroPadValue(computeAddress(key.publicKey), 32).toLowerCase() as Hex,
    signDigest: (digest) => key.sign(digest).serialized as Hex,
  }
}

function readKey(privateKey: string): SigningKey {
  const error = new KeyUnusableError('The evidence key', 'an ECDSA private key: 0x and 64 hexadecimal digits')
  if (!PRIVATE_KEY.test(privateKey)) throw error
  try {
    const key = new SigningKey(privateKey)
    // The constructor takes any 32 bytes; zero and numbers over the curve's order have no public key.
    return key.publicKey === '' ? raise(error) : key
  } catch {
    throw error // without the cause, which might quote the key
  }
}

function raise(error: KeyUnusableError): never {
  throw error
}
