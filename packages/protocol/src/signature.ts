import secp256k1 from 'secp256k1'
import { checksumAddress } from './address.js'
import type { Address, Hex } from './types.js'
import { WORD, bytesOfHex, keccak } from './words.js'

/** Half the order of secp256k1, rounded down: `s` above it is the twin of a signature that exists already. */
const HALF_ORDER = Buffer.from('7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0', 'hex')

/**
 * The account whose ECDSA key signed `digest`, with its checksum, or undefined if the signature is none: 65 bytes
 * (`r ‖ s ‖ v`, `v` 27 or 28) or 64 (EIP-2098), with `s` in the lower half of the order (EIP-2).
 */
export function recoverSigner(digest: Hex, signature: Hex): Address | undefined {
  const message = bytesOfHex(digest)
  const bytes = bytesOfHex(signature)
  if (message?.length !== WORD || bytes === undefined) return undefined
  const parts = splitSignature(bytes)
  if (parts === undefined || isHigh(parts.compact)) return undefined
  try {
    const key = secp256k1.ecdsaRecover(parts.compact, parts.parity, message, false)
    // The key is 0x04 and two coordinates; the address is the end of their hash.
    return checksumAddress(keccak(key.subarray(1)).slice(-40))
  } catch {
    return undefined // no point of the curve has these numbers
  }
}

function splitSignature(bytes: Uint8Array): { readonly compact: Uint8Array; readonly parity: number } | undefined {
  if (bytes.length === 65) {
    const v = bytes[64]
    return v === 27 || v === 28 ? { compact: bytes.subarray(0, 64), parity: v - 27 } : undefined
  }
  if (bytes.length !== 64) return undefined
  const compact = bytes.slice()
  const top = compact[WORD] ?? 0
  compact[WORD] = top & 0x7f
  return { compact, parity: top >> 7 }
}

function isHigh(compact: Uint8Array): boolean {
  return HALF_ORDER.compare(compact, WORD) < 0
}
