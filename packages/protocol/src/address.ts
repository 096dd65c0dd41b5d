import type { Address } from './types.js'
import { keccakText } from './words.js'

/** Checksums cost a hash each, and the same few addresses come again and again. */
const MAX_KNOWN = 10_000
const known = new Map<string, Address>()

/** The address of 40 hexadecimal digits, without `0x`, with its EIP-55 checksum. */
export function checksumAddress(digits: string): Address {
  const found = known.get(digits)
  if (found !== undefined) return found
  const address = withChecksum(digits.toLowerCase())
  if (known.size >= MAX_KNOWN) known.clear()
  known.set(digits, address)
  return address
}

function withChecksum(lower: string): Address {
  const hash = keccakText(lower)
  let text = ''
  for (let i = 0; i < lower.length; i++) {
    const char = lower.charAt(i)
    // The digit at the same place of the hash, after its 0x, decides.
    text += hash.charAt(i + 2) >= '8' ? char.toUpperCase() : char
  }
  return `0x${text}`
}
