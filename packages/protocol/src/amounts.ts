import { MAX_UINT96, OPG_DECIMALS } from './constants.js'
import { InvalidInputError } from './errors.js'

const UNIT = 10n ** BigInt(OPG_DECIMALS)
// 2^96 base units are 79 thousand million OPG: eleven digits.
const OPG_TEXT = /^(0|[1-9][0-9]{0,10})(?:\.([0-9]{1,18}))?$/
const BASE_UNITS_TEXT = /^(0|[1-9][0-9]{0,28})$/

/**
 * Reads an amount of OPG (`1.5`) as base units, exactly. Above zero, at most 18 decimals and 96 bits; no sign, space,
 * exponent, separator or needless leading zero.
 *
 * @throws {InvalidInputError} otherwise, naming `field`
 */
export function parseOpg(text: unknown, field = 'amount'): bigint {
  const match = typeof text === 'string' ? OPG_TEXT.exec(text) : null
  const amount =
    match === null ? 0n : BigInt(match[1] ?? '0') * UNIT + BigInt((match[2] ?? '').padEnd(OPG_DECIMALS, '0'))
  if (amount === 0n || amount > MAX_UINT96) {
    throw new InvalidInputError({
      field,
      expected: 'OPG in decimal digits, like 1.5, above 0, with at most 18 decimals and 96 bits of base units',
      value: text,
    })
  }
  return amount
}

/** Base units as OPG, exactly and without needless zeros: `1500000000000000000n` is `1.5`. */
export function formatOpg(amount: bigint): string {
  if (amount < 0n) throw new InvalidInputError({ field: 'amount', expected: 'at least 0', value: amount })
  const decimals = (amount % UNIT).toString().padStart(OPG_DECIMALS, '0').replace(/0+$/, '')
  return decimals === '' ? (amount / UNIT).toString() : `${(amount / UNIT).toString()}.${decimals}`
}

/**
 * Reads base units: decimal digits only, from 0 to 2^96 - 1.
 *
 * @throws {InvalidInputError} otherwise, naming `field`
 */
export function parseBaseUnits(text: unknown, field = 'amount'): bigint {
  const amount = typeof text === 'string' && BASE_UNITS_TEXT.test(text) ? BigInt(text) : -1n
  if (amount < 0n || amount > MAX_UINT96) {
    throw new InvalidInputError({ field, expected: 'base units as decimal digits, below 2^96', value: text })
  }
  return amount
}
