import { ProveError } from '../errors.js'

/**
 * A word of 256 bits, or a truth value, as a formula over variables. Terms are interned: equal terms are one object, so
 * `===` compares them. `max` bounds a word from above, whatever its variables are.
 */
export interface Term {
  readonly id: number
  readonly sort: 'word' | 'bool'
  readonly op: string
  readonly args: readonly Term[]
  /** The value of a `const`. */
  readonly value: bigint
  /** The name of a `var`. */
  readonly name: string
  readonly max: bigint
}

const BITS = 256n
export const WORD = 1n << BITS
export const MAX_WORD = WORD - 1n

const interned = new Map<string, Term>()

type Parts = Pick<Term, 'sort' | 'op'> & Partial<Pick<Term, 'args' | 'value' | 'name' | 'max'>>

function intern({ sort, op, args = [], value = 0n, name = '', max = MAX_WORD }: Parts): Term {
  const key = `${sort} ${op} ${name} ${String(value)} ${String(max)} ${args.map((arg) => arg.id).join(' ')}`
  const known = interned.get(key)
  if (known !== undefined) return known
  const term = { id: interned.size, sort, op, args, value, name, max }
  interned.set(key, term)
  return term
}

// ---- truth values ----

export const TRUE = intern({ sort: 'bool', op: 'true' })
export const FALSE = intern({ sort: 'bool', op: 'false' })

export function not(a: Term): Term {
  if (a === TRUE) return FALSE
  if (a === FALSE) return TRUE
  return a.op === 'not' ? arg(a, 0) : intern({ sort: 'bool', op: 'not', args: [a] })
}

export function all(...terms: readonly Term[]): Term {
  const kept = [...new Set(terms.filter((term) => term !== TRUE))]
  if (kept.includes(FALSE) || kept.some((term) => kept.includes(not(term)))) return FALSE
  if (kept.length < 2) return kept[0] ?? TRUE
  return intern({ sort: 'bool', op: 'and', args: kept })
}

export function any(...terms: readonly Term[]): Term {
  return not(all(...terms.map(not)))
}

export function implies(a: Term, b: Term): Term {
  return any(not(a), b)
}

/** Equality of two words, or of two truth values. */
export function eq(a: Term, b: Term): Term {
  if (a === b) return TRUE
  if (a.op === 'const' && b.op === 'const') return FALSE
  // Of an `or` no bit is set where none is set in either.
  if (a === ZERO && b.op === 'bitOr') return all(eq(a, arg(b, 0)), eq(a, arg(b, 1)))
  if (b === ZERO && a.op === 'bitOr') return eq(b, a)
  if (a.sort === 'bool' && (a === TRUE || a === FALSE)) return a === TRUE ? b : not(b)
  if (b.sort === 'bool' && (b === TRUE || b === FALSE)) return eq(b, a)
  return intern({ sort: 'bool', op: '=', args: a.id < b.id ? [a, b] : [b, a] })
}

export function lessThan(a: Term, b: Term): Term {
  if (a === b) return FALSE
  if (a.op === 'const' && b.op === 'const') return a.value < b.value ? TRUE : FALSE
  if (b.op === 'const' && a.max < b.value) return TRUE
  if (a.op === 'const' && b.max <= a.value) return FALSE
  // A sum that cannot wrap around is not below what was added: solc asks that of every sum.
  if (a.op === 'add' && a.args.includes(b) && arg(a, 0).max + arg(a, 1).max < WORD) return FALSE
  return intern({ sort: 'bool', op: '<', args: [a, b] })
}

/** Below as signed words. */
export function lessThanSigned(a: Term, b: Term): Term {
  if (a.op === 'const' && b.op === 'const')
    return BigInt.asIntN(256, a.value) < BigInt.asIntN(256, b.value) ? TRUE : FALSE
  return intern({ sort: 'bool', op: 's<', args: [a, b] })
}

export function atMost(a: Term, b: Term): Term {
  return not(lessThan(b, a))
}

// ---- words ----

export function word(value: bigint): Term {
  const wrapped = BigInt.asUintN(256, value)
  return intern({ sort: 'word', op: 'const', value: wrapped, max: wrapped })
}

export const ZERO = word(0n)
export const ONE = word(1n)

/** A variable: any word of so many bits. */
export function variable(name: string, bits = 256): Term {
  return intern({ sort: 'word', op: 'var', name, max: (1n << BigInt(bits)) - 1n })
}

/** An unknown function of words: equal arguments give an equal word. */
export function unknown(name: string, ...args: readonly Term[]): Term {
  return intern({ sort: 'word', op: 'unknown', name, args })
}

/** The same, where what it gives has so many bits. */
export function unknownOf(bits: number, name: string, ...args: readonly Term[]): Term {
  return intern({ sort: 'word', op: 'unknown', name, args, max: (1n << BigInt(bits)) - 1n })
}

export function ite(condition: Term, a: Term, b: Term): Term {
  if (condition === TRUE || a === b) return a
  if (condition === FALSE) return b
  const max = a.max > b.max ? a.max : b.max
  return intern({ sort: 'word', op: 'ite', args: [condition, a, b], max })
}

/** A truth value as the EVM has it: one or zero. */
export function fromBool(a: Term): Term {
  return ite(a, ONE, ZERO)
}

/** What `if` asks of a word: is it other than zero? */
export function isTrue(a: Term): Term {
  if (a.op === 'ite' && arg(a, 1) === ONE && arg(a, 2) === ZERO) return arg(a, 0)
  return not(eq(a, ZERO))
}

export function add(a: Term, b: Term): Term {
  if (a.op === 'const' && b.op === 'const') return word(a.value + b.value)
  if (a === ZERO) return b
  if (b === ZERO) return a
  const max = a.max + b.max
  return intern({ sort: 'word', op: 'add', args: [a, b], max: max < WORD ? max : MAX_WORD })
}

export function sub(a: Term, b: Term): Term {
  if (a.op === 'const' && b.op === 'const') return word(a.value - b.value)
  if (a === b) return ZERO
  if (b === ZERO) return a
  return intern({ sort: 'word', op: 'sub', args: [a, b] })
}

export function mul(a: Term, b: Term): Term {
  if (a.op === 'const' && b.op === 'const') return word(a.value * b.value)
  if (a === ZERO || b === ZERO) return ZERO
  if (a === ONE) return b
  if (b === ONE) return a
  const max = a.max * b.max
  return intern({ sort: 'word', op: 'mul', args: [a, b], max: max < WORD ? max : MAX_WORD })
}

/** The EVM's division: by zero it gives zero. */
export function div(a: Term, b: Term): Term {
  if (b === ZERO) return ZERO
  if (b === ONE) return a
  if (a.op === 'const' && b.op === 'const') return word(a.value / b.value)
  // A product that did not wrap around, by one of its factors: solc asks that of every product.
  if (a.op === 'mul' && a.args.includes(b) && arg(a, 0).max * arg(a, 1).max < WORD) {
    return ite(eq(b, ZERO), ZERO, arg(a, arg(a, 0) === b ? 1 : 0))
  }
  const max = b.op === 'const' ? a.max / b.value : a.max
  return intern({ sort: 'word', op: 'div', args: [a, b], max })
}

export function bitAnd(a: Term, b: Term): Term {
  if (a.op === 'const' && b.op === 'const') return word(a.value & b.value)
  if (a.op === 'const') return bitAnd(b, a)
  if (b === ZERO) return ZERO
  // A mask of the low bits that leaves all that can be there: a cleanup of what is clean.
  if (isLowMask(b) && a.max <= b.value) return a
  if (a === b) return a
  // One bit of something that is one bit.
  if (a.max === 1n && b.max === 1n) return fromBool(all(isTrue(a), isTrue(b)))
  const max = a.max < b.max ? a.max : b.max
  return intern({ sort: 'word', op: 'bitAnd', args: [a, b], max })
}

export function bitOr(a: Term, b: Term): Term {
  if (a.op === 'const' && b.op === 'const') return word(a.value | b.value)
  if (a === ZERO || a === b) return b
  if (b === ZERO) return a
  if (a.max === 1n && b.max === 1n) return fromBool(any(isTrue(a), isTrue(b)))
  const top = a.max > b.max ? a.max : b.max
  return intern({ sort: 'word', op: 'bitOr', args: [a, b], max: (1n << BigInt(top.toString(2).length)) - 1n })
}

export function bitXor(a: Term, b: Term): Term {
  if (a.op === 'const' && b.op === 'const') return word(a.value ^ b.value)
  if (a === b) return ZERO
  return intern({ sort: 'word', op: 'bitXor', args: [a, b] })
}

export function bitNot(a: Term): Term {
  if (a.op === 'const') return word(MAX_WORD ^ a.value)
  return a.op === 'bitNot' ? arg(a, 0) : intern({ sort: 'word', op: 'bitNot', args: [a] })
}

export function shiftLeft(a: Term, bits: Term): Term {
  if (bits.op !== 'const') return intern({ sort: 'word', op: 'shlBy', args: [a, bits] })
  const by = bits.value
  if (a.op === 'const') return word(by < BITS ? a.value << by : 0n)
  if (by >= BITS) return ZERO
  if (by === 0n) return a
  const max = a.max << by
  return intern({ sort: 'word', op: 'shl', args: [a], value: by, max: max < WORD ? max : MAX_WORD })
}

export function shiftRight(a: Term, bits: Term): Term {
  if (bits.op !== 'const') return intern({ sort: 'word', op: 'shrBy', args: [a, bits], max: a.max })
  const by = bits.value
  if (a.op === 'const') return word(by < BITS ? a.value >> by : 0n)
  if (by >= BITS) return ZERO
  if (by === 0n) return a
  if (a.max >> by === 0n) return ZERO
  if (a.op === 'shr') return shiftRight(arg(a, 0), word(by + a.value))
  if (a.op === 'bitOr') return bitOr(shiftRight(arg(a, 0), bits), shiftRight(arg(a, 1), bits))
  return intern({ sort: 'word', op: 'shr', args: [a], value: by, max: a.max >> by })
}

// ---- helpers ----

/** The value of a term that must be known. @throws {ProveError} where it is not */
export function constant(term: Term, what: string): bigint {
  if (term.op !== 'const') throw new ProveError(`${what} must be known here, but it is ${show(term)}`)
  return term.value
}

export function arg(term: Term, index: number): Term {
  const found = term.args[index]
  if (found === undefined) throw new ProveError(`${term.op} has no argument ${String(index)}`)
  return found
}

/** Whether a constant is 2^k - 1. */
export function isLowMask(term: Term): boolean {
  return term.op === 'const' && (term.value & (term.value + 1n)) === 0n
}

/** A term for people, cut where it gets long. */
export function show(term: Term, depth = 4): string {
  if (term.op === 'const') return term.value < 1_000_000n ? String(term.value) : `0x${term.value.toString(16)}`
  if (term.op === 'var') return term.name
  if (depth === 0) return '…'
  const inner = term.args.map((each) => show(each, depth - 1)).join(' ')
  return `(${term.op}${term.name}${term.value > 0n ? ` ${String(term.value)}` : ''} ${inner})`
}
