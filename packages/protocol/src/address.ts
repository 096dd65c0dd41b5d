import { keccak_256 } from '@noble/hashes/sha3'
import type { Address } from './types.js'

/** The address of 40 hexadecimal digits, without `0x`, with its EIP-55 checksum. */
export function checksumAddress(digits: string): Address {
  const lower = digits.toLowerCase()
  const hash = keccak_256(new TextEncoder().encode(lower))
  let text = ''
  for (let i = 0; i < lower.length; i++) {
    const byte = hash[i >> 1] ?? 0
    const nibble = i % 2 === 0 ? byte >> 4 : byte & 0x0f
    const char = lower.charAt(i)
    text += nibble >= 8 ? char.toUpperCase() : char
  }
  return `0x${text}`
}
