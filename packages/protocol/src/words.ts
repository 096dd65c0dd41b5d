import sha3 from 'js-sha3'
import { InvalidInputError } from './errors.js'
import type { Hex } from './types.js'

/** Bytes of an ABI word. */
export const WORD = 32

const MASK_64 = (1n << 64n) - 1n

/** Keccak-256 as hex. */
export function keccak(bytes: Uint8Array): Hex {
  return `0x${sha3.keccak256(bytes)}`
}

/** Bytes as hex. */
export function hexOf(bytes: Uint8Array): Hex {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`
}

/** Keccak-256 of a string's UTF-8 bytes. */
export function keccakText(text: string): Hex {
  return keccak(new TextEncoder().encode(text))
}

/** ABI words side by side in one buffer, for hashing. Every write checks its value and names it if it does not fit. */
export class Words {
  readonly bytes: Uint8Array
  readonly #view: DataView

  constructor(count: number) {
    this.bytes = new Uint8Array(count * WORD)
    this.#view = new DataView(this.bytes.buffer)
  }

  /** Writes an unsigned integer of `bits` bits (8 to 256). Up to 48 bits may be a `number`. */
  writeUint(index: number, value: unknown, { bits, field }: { readonly bits: number; readonly field: string }): void {
    const at = index * WORD
    if (typeof value === 'number' && bits <= 48) {
      if (!Number.isInteger(value) || value < 0 || value >= 2 ** bits) throw notUint(field, bits, value)
      this.bytes.fill(0, at, at + 24)
      this.#view.setUint32(at + 24, Math.floor(value / 2 ** 32))
      this.#view.setUint32(at + 28, value >>> 0)
      return
    }
    if (typeof value !== 'bigint' || bits <= 48) throw notUint(field, bits, value)
    if (value < 0n || value >> BigInt(bits) !== 0n) throw notUint(field, bits, value)
    if (bits > 128) {
      this.#view.setBigUint64(at, value >> 192n)
      this.#view.setBigUint64(at + 8, (value >> 128n) & MASK_64)
    } else {
      this.bytes.fill(0, at, at + 16)
    }
    this.#view.setBigUint64(at + 16, (value >> 64n) & MASK_64)
    this.#view.setBigUint64(at + 24, value & MASK_64)
  }

  /** Writes `length` bytes (20 for an address, 32 for a bytes32) at the word's right. */
  writeHex(
    index: number,
    value: unknown,
    { length, field }: { readonly length: number; readonly field: string },
  ): void {
    const end = (index + 1) * WORD
    const start = end - length
    if (typeof value !== 'string' || !writeHexBytes(this.bytes, { at: start, length, value })) {
      throw new InvalidInputError({ field, expected: `${String(length)} bytes as 0x and hexadecimal digits`, value })
    }
    this.bytes.fill(0, index * WORD, start)
  }

  writeBool(index: number, value: unknown, field: string): void {
    if (typeof value !== 'boolean') throw new InvalidInputError({ field, expected: 'true or false', value })
    const at = index * WORD
    this.bytes.fill(0, at, at + WORD)
    this.bytes[at + WORD - 1] = value ? 1 : 0
  }

  hash(): Hex {
    return keccak(this.bytes)
  }
}

/** Reads `0x` and exactly `length` bytes of hexadecimal digits into `target`. False, and garbage in it, otherwise. */
function writeHexBytes(
  target: Uint8Array,
  { at, length, value }: { readonly at: number; readonly length: number; readonly value: string },
): boolean {
  if (value.length !== 2 + 2 * length || value.charCodeAt(0) !== 0x30 || value.charCodeAt(1) !== 0x78) return false
  for (let i = 0; i < length; i++) {
    const high = digit(value.charCodeAt(2 + 2 * i))
    const low = digit(value.charCodeAt(3 + 2 * i))
    if (high < 0 || low < 0) return false
    target[at + i] = (high << 4) | low
  }
  return true
}

/** The value of a hexadecimal digit's character code; -1 for any other. */
function digit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** The bytes of `value`, or undefined where it is not `0x` and an even number of hexadecimal digits. */
export function bytesOfHex(value: string): Uint8Array | undefined {
  if (value.length < 2 || value.length % 2 !== 0) return undefined
  const length = value.length / 2 - 1
  const bytes = new Uint8Array(length)
  return writeHexBytes(bytes, { at: 0, length, value }) ? bytes : undefined
}

function notUint(field: string, bits: number, value: unknown): InvalidInputError {
  const kind = bits <= 48 ? 'number' : 'bigint'
  return new InvalidInputError({ field, expected: `a whole ${kind} from 0 to 2^${String(bits)} - 1`, value })
}
