import { checksumAddress } from './address.js'
import { InvalidInputError } from './errors.js'
import type { Address, Hex } from './types.js'

/** Turns a value of parsed JSON into what it stands for. `field` is its path, for errors. */
export type Reader<T> = (value: unknown, field: string) => T

/** A value as its JSON: bigints are decimal strings, all else is as it is. */
export type Wire<T> = T extends bigint
  ? string
  : T extends string | number | boolean
    ? T
    : T extends readonly (infer Member)[]
      ? readonly Wire<Member>[]
      : { readonly [Key in keyof T]: Wire<T[Key]> }

const ADDRESS = /^0x[0-9a-fA-F]{40}$/
const HEX = /^0x[0-9a-fA-F]*$/
const DECIMAL = /^(0|[1-9][0-9]*)$/
// 2^256 has 78 digits.
const MAX_DECIMAL_LENGTH = 78

/**
 * Reads an address. In mixed case its EIP-55 checksum must be right; the result always carries it.
 *
 * @throws {InvalidInputError}
 */
export function parseAddress(value: unknown, field = 'address'): Address {
  if (typeof value !== 'string' || !ADDRESS.test(value)) {
    throw new InvalidInputError({ field, expected: 'an address, 0x and 40 hexadecimal digits', value })
  }
  const digits = value.slice(2)
  const address = checksumAddress(digits)
  if (value === address) return address
  const isMixed = digits !== digits.toLowerCase() && digits !== digits.toUpperCase()
  if (isMixed) throw new InvalidInputError({ field, expected: `an address with its checksum, ${address}`, value })
  return address
}

/** Reads 32 bytes as `0x` and 64 hexadecimal digits; the result is in lower case. @throws {InvalidInputError} */
export function parseBytes32(value: unknown, field = 'bytes32'): Hex {
  return bytes32(value, field)
}

/** A reader of bytes as `0x` and hexadecimal digits, from `min` to `max` of them; the result is in lower case. */
export function parseBytes({ min, max }: { readonly min: number; readonly max: number }): Reader<Hex> {
  const length = min === max ? String(min) : `${String(min)} to ${String(max)}`
  return (value, field) => {
    const isBytes =
      typeof value === 'string' &&
      value.length >= 2 + 2 * min &&
      value.length <= 2 + 2 * max &&
      value.length % 2 === 0 &&
      HEX.test(value)
    if (!isBytes)
      throw new InvalidInputError({ field, expected: `${length} bytes as 0x and hexadecimal digits`, value })
    return `0x${value.slice(2).toLowerCase()}`
  }
}

const bytes32 = parseBytes({ min: 32, max: 32 })

/** A reader of an unsigned integer of `bits` bits, in decimal digits without needless zeros, as a string. */
export function parseUint(bits: number): Reader<bigint> {
  return (value, field) => {
    const isDecimal = typeof value === 'string' && value.length <= MAX_DECIMAL_LENGTH && DECIMAL.test(value)
    const number = isDecimal ? BigInt(value) : -1n
    if (number < 0n || number >> BigInt(bits) !== 0n) {
      throw new InvalidInputError({ field, expected: `a string of decimal digits, below 2^${String(bits)}`, value })
    }
    return number
  }
}

/** A reader of an unsigned integer of at most 48 bits, as a JSON number. */
export function parseSmallUint(bits: number): Reader<number> {
  return (value, field) => {
    if (
      typeof value !== 'number' ||
      !Number.isInteger(value) ||
      value < 0 ||
      Object.is(value, -0) ||
      value >= 2 ** bits
    ) {
      throw new InvalidInputError({ field, expected: `a whole number below 2^${String(bits)}`, value })
    }
    return value
  }
}

/** Reads true or false. @throws {InvalidInputError} */
export function parseBool(value: unknown, field: string): boolean {
  if (typeof value !== 'boolean') throw new InvalidInputError({ field, expected: 'true or false', value })
  return value
}

/** A reader of an array of at most `max` members. */
export function parseArray<T>(member: Reader<T>, max: number): Reader<readonly T[]> {
  return (value, field) => {
    if (!Array.isArray(value) || value.length > max) {
      throw new InvalidInputError({ field, expected: `an array of at most ${String(max)}`, value })
    }
    return value.map((one: unknown, i) => member(one, `${field}[${String(i)}]`))
  }
}

/**
 * A reader of an object with exactly these members: each must be its own, and there must be no other. The result is
 * built afresh, so nothing of the source's prototype reaches it.
 */
export function parseObject<T extends object>(members: { readonly [Key in keyof T]-?: Reader<T[Key]> }): Reader<T> {
  const readers = Object.entries<Reader<unknown>>(members)
  return (value, field) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new InvalidInputError({ field: field === '' ? 'value' : field, expected: 'an object', value })
    }
    const source = value as Readonly<Record<string, unknown>>
    for (const key of Object.keys(source)) {
      if (!Object.hasOwn(members, key)) throw notAMember(source[key], { field, key })
    }
    const result: Record<string, unknown> = {}
    for (const [key, read] of readers) {
      result[key] = read(Object.hasOwn(source, key) ? source[key] : undefined, path(field, key))
    }
    return result as T
  }
}

function notAMember(
  value: unknown,
  { field, key }: { readonly field: string; readonly key: string },
): InvalidInputError {
  // The key is hostile too: escaped and cut.
  const shown = JSON.stringify(key.slice(0, 40)).slice(1, -1)
  return new InvalidInputError({ field: path(field, shown), expected: 'left out, as it has no meaning', value })
}

/** A value as its JSON; the counterpart of the readers. */
export function toWire<T>(value: T): Wire<T> {
  return wireOf(value) as Wire<T>
}

function wireOf(value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (Array.isArray(value)) return value.map(wireOf)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, wireOf(member)]))
}

function path(field: string, key: string): string {
  return field === '' ? key : `${field}.${key}`
}
