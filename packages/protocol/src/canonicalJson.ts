import { InvalidInputError } from './errors.js'

const MAX_DEPTH = 64
const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\f': '\\f',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
}

/**
 * JSON as Python's `json.dumps(value, sort_keys=True)` writes it, once `value` went through JSON: separators `", "` and
 * `": "`, keys in the order of their code points, all but printable ASCII escaped, floats as Python's `repr`. Members
 * that are undefined are left out, as JSON does.
 *
 * @param options.floats names of members of the outermost object that are floats there, whole numbers too
 * @throws {InvalidInputError} if it is no JSON: functions, `NaN`, objects of classes, more than 64 levels
 */
export function canonicalJson(value: unknown, options: { readonly floats?: readonly string[] } = {}): string {
  return write(value, { field: 'request', depth: 0, floats: options.floats ?? [] })
}

interface Place {
  readonly field: string
  readonly depth: number
  /** Members of the value that are floats. */
  readonly floats: readonly string[]
}

function write(value: unknown, place: Place): string {
  if (value === null || typeof value === 'boolean') return String(value)
  if (typeof value === 'string') return quote(value)
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number' && Number.isFinite(value)) return writeNumber(value)
  if (place.depth === MAX_DEPTH) throw refuse(place, `JSON of at most ${String(MAX_DEPTH)} levels`, value)
  if (Array.isArray(value)) {
    return `[${value.map((item: unknown, i) => write(item, inside(place, `[${String(i)}]`))).join(', ')}]`
  }
  if (!isPlainObject(value)) throw refuse(place, 'JSON', value)
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => compareCodePoints(a, b))
    .map(
      ([key, member]) =>
        `${quote(key)}: ${write(member, inside(place, `.${JSON.stringify(key.slice(0, 40)).slice(1, -1)}`))}${place.floats.includes(key) && isInt(member) ? '.0' : ''}`,
    )
  return `{${members.join(', ')}}`
}

/** As JSON carries it to Python: an integer below 10^21 has no point, and is an `int` there; all else is a `float`. */
function writeNumber(value: number): string {
  const text = JSON.stringify(value)
  if (Number.isInteger(value) || Math.abs(value) >= 1e-4) return text
  // Python writes an exponent below 10^-4, and with two digits.
  const [digits = '', exponent = ''] = value.toExponential().split('e-')
  return `${digits}e-${exponent.padStart(2, '0')}`
}

function quote(text: string): string {
  // Each UTF-16 unit by itself: a character beyond them is two escapes.
  const escaped = text.replace(
    /["\\]|[^ -~]/g,
    (unit) => SHORT_ESCAPES[unit] ?? `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
  return `"${escaped}"`
}

function compareCodePoints(a: string, b: string): number {
  const [left, right] = [Array.from(a), Array.from(b)]
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    const order = (left[i]?.codePointAt(0) ?? 0) - (right[i]?.codePointAt(0) ?? 0)
    if (order !== 0) return order
  }
  return left.length - right.length
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function inside({ field, depth }: Place, member: string): Place {
  return { field: `${field}${member}`, depth: depth + 1, floats: [] }
}

/** Whether it is written without a point or an exponent. */
function isInt(value: unknown): boolean {
  return typeof value === 'number' && Number.isInteger(value) && Math.abs(value) < 1e21
}

function refuse({ field }: Place, expected: string, value: unknown): InvalidInputError {
  return new InvalidInputError({ field, expected, value })
}
