import { ProveError } from '../errors.js'
import { arg, isLowMask, MAX_WORD, type Term, WORD } from './terms.js'

/**
 * How words are written for the solver. `bits`: as bit-vectors, which is exact for every operation. `integers`: as
 * integers between 0 and 2^256 - 1, for products and quotients that bit-vectors of 256 bits are too wide for. Exact too,
 * but of a product's quotient, `x * y / b`, only `QUOTIENT_LAWS` are used.
 */
export type Encoding = 'bits' | 'integers'

/** A law of the integers: an SMT-LIB script that asks for numbers against it. */
export interface QuotientLaw {
  readonly name: string
  readonly says: string
  readonly script: string
}

const QUOTIENT = '|quotient|'
const WRAPPED_QUOTIENT = '|quotient of a product that wraps around|'

/** Each is proved by itself, for all integers, before anything that rests on it counts. */
export const QUOTIENT_LAWS: readonly QuotientLaw[] = [
  {
    name: 'Integers.quotient',
    says: 'x y / b, rounded down, is not negative, is zero for y = 0, is x for y = b, and at most x for y up to b',
    script: lawScript(['x', 'y', 'b'], bounded('x', 'y', 'b')),
  },
  {
    name: 'Integers.quotientsGrow',
    says: 'as x grows to z, x y / b rounded down does not fall, and grows by at most z - x, for y up to b',
    script: lawScript(['x', 'z', 'y', 'b'], growing('x', 'z', 'y', 'b')),
  },
]

function bounded(x: string, y: string, b: string): string {
  const q = `(${QUOTIENT} ${x} ${y} ${b})`
  const known = `(and (<= 0 ${x}) (<= 0 ${y}) (< 0 ${b}))`
  return `(=> ${known} (and (<= 0 ${q}) (=> (= ${y} 0) (= ${q} 0)) (=> (= ${y} ${b}) (= ${q} ${x})) (=> (<= ${y} ${b}) (<= ${q} ${x}))))`
}

function growing(x: string, z: string, y: string, b: string): string {
  const growth = `(- (${QUOTIENT} ${z} ${y} ${b}) (${QUOTIENT} ${x} ${y} ${b}))`
  const known = `(and (<= 0 ${x}) (<= ${x} ${z}) (<= 0 ${y}) (<= ${y} ${b}) (< 0 ${b}))`
  return `(=> ${known} (and (<= 0 ${growth}) (<= ${growth} (- ${z} ${x}))))`
}

function lawScript(numbers: readonly string[], law: string): string {
  return [
    `(define-fun ${QUOTIENT} ((x Int) (y Int) (b Int)) Int (div (* x y) b))`,
    ...numbers.map((name) => `(declare-const ${name} Int)`),
    `(assert (not ${law}))`,
    '(check-sat)',
    '',
  ].join('\n')
}

/** An SMT-LIB script that asks whether `formula` can be true. */
export function toSmtLib(formula: Term, encoding: Encoding): string {
  const lines: string[] = []
  const declared = new Set<string>()
  const names = new Map<Term, string>()

  const quotients: (readonly [x: string, y: string, b: string])[] = []

  const declare = (line: string): void => {
    if (!declared.has(line)) lines.push(line)
    declared.add(line)
  }
  // Iterative, since a formula may be deep.
  const pending: Term[] = [formula]
  while (pending.length > 0) {
    const term = pending[pending.length - 1]
    if (term === undefined) break
    const missing = term.args.filter((each) => !names.has(each))
    if (missing.length > 0) {
      pending.push(...missing)
      continue
    }
    pending.pop()
    if (names.has(term)) continue
    const args = term.args.map((each) => names.get(each) ?? '')
    if (term.op === 'true' || term.op === 'false') {
      names.set(term, term.op)
    } else if (term.op === 'var') {
      declare(`(declare-const |${term.name}| ${sortOf('word', encoding)})`)
      if (encoding === 'integers')
        lines.push(`(assert (and (<= 0 |${term.name}|) (<= |${term.name}| ${String(term.max)})))`)
      else if (term.max < MAX_WORD) lines.push(`(assert (bvule |${term.name}| ${bitsOf(term.max)}))`)
      names.set(term, `|${term.name}|`)
    } else if (term.op === 'const') {
      names.set(term, encoding === 'bits' ? bitsOf(term.value) : String(term.value))
    } else {
      if (term.op === 'unknown') {
        const sorts = term.args.map(() => sortOf('word', encoding)).join(' ')
        declare(`(declare-fun |${term.name}| (${sorts}) ${sortOf('word', encoding)})`)
      }
      let written: string
      if (encoding === 'integers' && isProductQuotient(term)) {
        const [x = '', y = ''] = arg(term, 0).args.map((each) => names.get(each) ?? '')
        const b = args[1] ?? ''
        declare(`(declare-fun ${QUOTIENT} (Int Int Int) Int)`)
        declare(`(declare-fun ${WRAPPED_QUOTIENT} (Int Int Int) Int)`)
        lines.push(`(assert ${bounded(x, y, b)})`)
        for (const [otherX, otherY, otherB] of quotients.filter((each) => each[1] === y && each[2] === b)) {
          lines.push(`(assert ${growing(x, otherX, y, b)})`, `(assert ${growing(otherX, x, otherY, otherB)})`)
        }
        quotients.push([x, y, b])
        written = writeQuotient(term, [x, y, b])
      } else {
        written = encoding === 'bits' ? writeBits(term, args) : writeInteger(term, args)
      }
      const name = `t${String(term.id)}`
      lines.push(`(define-fun ${name} () ${sortOf(term.sort, encoding)} ${written})`)
      if (term.op === 'unknown' && encoding === 'integers') {
        lines.push(`(assert (and (<= 0 ${name}) (<= ${name} ${String(term.max)})))`)
      } else if (term.op === 'unknown' && term.max < MAX_WORD) {
        lines.push(`(assert (bvule ${name} ${bitsOf(term.max)}))`)
      }
      names.set(term, name)
    }
  }
  lines.push(`(assert ${names.get(formula) ?? 'true'})`, '(check-sat)')
  return `${lines.join('\n')}\n`
}

function sortOf(sort: Term['sort'], encoding: Encoding): string {
  if (sort === 'bool') return 'Bool'
  return encoding === 'bits' ? '(_ BitVec 256)' : 'Int'
}

function bitsOf(value: bigint): string {
  return `#x${value.toString(16).padStart(64, '0')}`
}

const LOGIC: Readonly<Record<string, string>> = { not: 'not', and: 'and', '=': '=', ite: 'ite' }
const BIT_OPERATIONS: Readonly<Record<string, string>> = {
  '<': 'bvult',
  's<': 'bvslt',
  add: 'bvadd',
  sub: 'bvsub',
  mul: 'bvmul',
  bitAnd: 'bvand',
  bitOr: 'bvor',
  bitXor: 'bvxor',
  bitNot: 'bvnot',
  shlBy: 'bvshl', // gives zero from 256 on, as the EVM does
  shrBy: 'bvlshr',
}

function writeBits(term: Term, args: readonly string[]): string {
  const list = args.join(' ')
  const plain = LOGIC[term.op] ?? BIT_OPERATIONS[term.op]
  if (plain !== undefined) return `(${plain} ${list})`
  switch (term.op) {
    case 'unknown':
      return `(|${term.name}| ${list})`
    case 'div':
      return `(ite (= ${args[1] ?? ''} ${bitsOf(0n)}) ${bitsOf(0n)} (bvudiv ${list}))`
    case 'shl':
      return `(bvshl ${list} ${bitsOf(term.value)})`
    case 'shr':
      return `(bvlshr ${list} ${bitsOf(term.value)})`
    default:
      throw new ProveError(`no bit-vector form of ${term.op}`)
  }
}

function writeInteger(term: Term, args: readonly string[]): string {
  const list = args.join(' ')
  const [a = '', b = ''] = args
  const plain = LOGIC[term.op]
  if (plain !== undefined) return `(${plain} ${list})`
  switch (term.op) {
    case 'unknown':
      return `(|${term.name}| ${list})`
    case '<':
      return `(< ${list})`
    case 'add':
      // Of two words, so that it wraps around once at most.
      return arg(term, 0).max + arg(term, 1).max < WORD
        ? `(+ ${list})`
        : `(ite (< (+ ${list}) ${String(WORD)}) (+ ${list}) (- (+ ${list}) ${String(WORD)}))`
    case 'mul':
      return wrapped(`(* ${list})`, arg(term, 0).max * arg(term, 1).max)
    case 'sub':
      return `(ite (>= ${a} ${b}) (- ${a} ${b}) (+ (- ${a} ${b}) ${String(WORD)}))`
    case 'div':
      return arg(term, 1).op === 'const' ? `(div ${a} ${b})` : `(ite (= ${b} 0) 0 (div ${a} ${b}))`
    case 'shl':
      return wrapped(`(* ${a} ${String(1n << term.value)})`, arg(term, 0).max << term.value)
    case 'shr':
      return `(div ${a} ${String(1n << term.value)})`
    case 'bitAnd':
      if (isLowMask(arg(term, 1))) return `(mod ${a} ${String(arg(term, 1).value + 1n)})`
      throw new ProveError('no integer form of a mask that is not of the low bits')
    default:
      throw new ProveError(`no integer form of ${term.op}`)
  }
}

function isProductQuotient(term: Term): boolean {
  return term.op === 'div' && arg(term, 0).op === 'mul'
}

/** `x * y / b`, where the product stays within a word; else anything. */
function writeQuotient(term: Term, [x, y, b]: readonly [string, string, string]): string {
  const limit = MAX_WORD / arg(arg(term, 0), 1).max
  return `(ite (= ${b} 0) 0 (ite (<= ${x} ${String(limit)}) (${QUOTIENT} ${x} ${y} ${b}) (${WRAPPED_QUOTIENT} ${x} ${y} ${b})))`
}

/** Wraps around only what can exceed a word. */
function wrapped(sum: string, max: bigint): string {
  return max < WORD ? sum : `(mod ${sum} ${String(WORD)})`
}
