import {
  InvalidInputError,
  MAX_FACILITATOR_BPS,
  type Order,
  type SignedOrder,
  type Terms,
  ZERO_ADDRESS,
  parseOrder,
  parseSignedOrder,
  parseTerms,
  toWire,
} from '@opg/protocol'

/** Largest number of 40 bits. */
const MAX_UINT40 = 2 ** 40 - 1

/** Checks `Terms` from a caller, caps included; addresses come back with their checksum. @throws {InvalidInputError} */
export function checkTerms(value: Terms, field = 'terms'): Terms {
  const terms = parseTerms(toWire(value), field)
  if (terms.facilitatorBps > MAX_FACILITATOR_BPS) {
    throw new InvalidInputError({
      field: `${field}.facilitatorBps`,
      expected: `at most ${String(MAX_FACILITATOR_BPS)} basis points`,
      value: terms.facilitatorBps,
    })
  }
  if (terms.facilitator === ZERO_ADDRESS && terms.facilitatorBps !== 0) {
    throw new InvalidInputError({
      field: `${field}.facilitatorBps`,
      expected: '0 where no facilitator is named',
      value: terms.facilitatorBps,
    })
  }
  if (terms.node === ZERO_ADDRESS && terms.facilitator === ZERO_ADDRESS) {
    const expected = 'the address of a node, or zero where a facilitator routes the order'
    throw new InvalidInputError({ field: `${field}.node`, expected, value: terms.node })
  }
  return terms
}

/** Checks an `Order` from a caller. @throws {InvalidInputError} */
export function checkOrder(value: Order, field = 'order'): Order {
  return parseOrder(toWire(value), field)
}

/** Checks a `SignedOrder` from a caller. @throws {InvalidInputError} */
export function checkSignedOrder(value: SignedOrder, field = ''): SignedOrder {
  return parseSignedOrder(toWire(value), field)
}

/** Checks an unsigned integer. @throws {InvalidInputError} */
export function checkUint(
  value: unknown,
  { field, bits, min = 0n }: { readonly field: string; readonly bits: number; readonly min?: bigint },
): bigint {
  if (typeof value !== 'bigint' || value < min || value >> BigInt(bits) !== 0n) {
    throw new InvalidInputError({
      field,
      expected: `a bigint from ${min.toString()} to 2^${String(bits)} - 1`,
      value,
    })
  }
  return value
}

/** Checks Unix seconds. Milliseconds, a common mistake, are told by their size. @throws {InvalidInputError} */
export function checkSeconds(value: unknown, field: string): number {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0 || value > MAX_UINT40) {
    throw new InvalidInputError({ field, expected: 'whole Unix seconds, not milliseconds', value })
  }
  return value
}

/** Checks a whole number. @throws {InvalidInputError} */
export function checkCount(
  value: unknown,
  { field, min, max }: { readonly field: string; readonly min: number; readonly max: number },
): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < min || value > max) {
    throw new InvalidInputError({ field, expected: `a whole number from ${String(min)} to ${String(max)}`, value })
  }
  return value
}

/** Checks that a list from a caller is one. @throws {InvalidInputError} */
export function checkList<T>(
  value: readonly T[],
  { field, min }: { readonly field: string; readonly min: number },
): readonly T[] {
  const isList: boolean = Array.isArray(value) && value.length >= min
  if (!isList) throw new InvalidInputError({ field, expected: `an array of at least ${String(min)}`, value })
  return value
}
