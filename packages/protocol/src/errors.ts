/** The longest `found` that an error carries, so that a hostile value cannot fill a log. */
const MAX_FOUND_LENGTH = 80
// A private key in the wrong place must not reach a log (N8), and nothing tells one from a hash.
const MAYBE_KEY = /[0-9a-fA-F]{64}/

/**
 * A value from outside does not have the shape it must have.
 *
 * `field` is the path of the value (`order.job.requester`), `expected` says what it must be and `found` what it is,
 * at most 80 characters on one line. What could be a private key is described, never shown.
 */
export class InvalidInputError extends Error {
  readonly code = 'INVALID_INPUT'
  readonly field: string
  readonly expected: string
  readonly found: string

  constructor(input: { readonly field: string; readonly expected: string; readonly value: unknown }) {
    const found = describe(input.value)
    super(`${input.field} must be ${input.expected}, but it is ${found}.`)
    this.name = 'InvalidInputError'
    this.field = input.field
    this.expected = input.expected
    this.found = found
  }
}

function describe(value: unknown): string {
  if (value === undefined) return 'missing'
  if (Array.isArray(value)) return `an array of ${String(value.length)}`
  if (typeof value === 'string') {
    if (MAYBE_KEY.test(value)) return `a string of ${String(value.length)} characters`
    // Cut first: a string from outside may be as long as its carrier allows.
    const text = JSON.stringify(value.slice(0, MAX_FOUND_LENGTH))
    return text.length <= MAX_FOUND_LENGTH ? text : `${text.slice(0, MAX_FOUND_LENGTH - 4)}..."`
  }
  if (typeof value === 'bigint' || typeof value === 'number') {
    const text = Object.is(value, -0) ? '-0' : String(value)
    return text.length <= MAX_FOUND_LENGTH ? text : `${text.slice(0, MAX_FOUND_LENGTH - 3)}...`
  }
  if (value === null || typeof value === 'boolean') return String(value)
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
