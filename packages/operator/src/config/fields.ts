import { parseAddress, parseOpg, type Address } from '@opg/protocol'
import { z } from 'zod'

/** Digits as environment variables have them, or a number as JSON has it. */
export function wholeNumber(min: number, max: number) {
  const expected = `a whole number from ${String(min)} to ${String(max)}`
  return z.union([z.number(), z.string()], { error: expected }).transform((found, context): number => {
    const value = typeof found === 'number' || /^(0|[1-9][0-9]{0,15})$/.test(found) ? Number(found) : NaN
    if (Number.isSafeInteger(value) && value >= min && value <= max) return value
    context.addIssue({ code: 'custom', message: `${expected}, and not ${shown(found)}` })
    return z.NEVER
  })
}

/** What was found, unless it is long enough to be a secret that stands in the wrong place (N8). */
function shown(found: number | string): string {
  if (typeof found === 'number') return String(found)
  return found.length <= 8 ? `"${found}"` : `a text of ${String(found.length)} characters`
}

/** OPG as decimal digits in a text, exactly; JSON's numbers would round. */
export function opg({ zero }: { readonly zero: boolean }) {
  const expected = `OPG as decimal digits in a text, like "0.5", with at most 18 decimals${zero ? '' : ', above 0'}`
  return z.string({ error: expected }).transform((text, context): bigint => {
    if (zero && text === '0') return 0n
    try {
      return parseOpg(text)
    } catch {
      context.addIssue({ code: 'custom', message: expected })
      return z.NEVER
    }
  })
}

/** A text that is not empty. */
export const text = (expected: string) => z.string({ error: expected }).min(1, { error: expected })
/** An http or https URL. */
export const httpUrl = (expected: string) => z.url({ protocol: /^https?$/, error: expected })
/** So many bytes, with the prefix in lower case. */
export const hex = (bytes: number, expected: string) =>
  z
    .string({ error: expected })
    .regex(new RegExp(`^0x[0-9a-fA-F]{${String(2 * bytes)}}$`), { error: expected })
    .transform((value): `0x${string}` => `0x${value.slice(2)}`)

/** An address, with its checksum. */
export const address = z.string({ error: 'an address' }).transform((value, context): Address => {
  try {
    return parseAddress(value)
  } catch {
    context.addIssue({ code: 'custom', message: 'an address, 0x and 40 hexadecimal digits' })
    return z.NEVER
  }
})
