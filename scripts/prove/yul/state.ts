import { ProveError } from '../errors.js'
import {
  add,
  all,
  bitAnd,
  bitNot,
  bitOr,
  constant,
  eq,
  FALSE,
  isTrue,
  ite,
  not,
  shiftLeft,
  shiftRight,
  type Term,
  TRUE,
  unknown,
  variable,
  word,
} from './terms.js'

const WORD_BYTES = 32n

/** Something done to the outside that is not looked into: a call of a function that was cut off, an event. */
export interface Effect {
  readonly name: string
  readonly args: readonly Term[]
  readonly results: readonly Term[]
}

interface Write {
  readonly key: Term
  readonly value: Term
}

/** What one path of an execution has done so far. */
export class State {
  readonly #memory: Map<bigint, Term>
  readonly #writes: Map<'storage' | 'transient', readonly Write[]>
  #conditions: readonly Term[]
  #effects: readonly Effect[]

  private constructor(from?: State) {
    this.#memory = new Map(from === undefined ? [] : from.#memory)
    this.#writes = new Map(from === undefined ? [] : from.#writes)
    this.#conditions = from === undefined ? [] : from.#conditions
    this.#effects = from === undefined ? [] : from.#effects
  }

  static fresh(): State {
    return new State()
  }

  clone(): State {
    return new State(this)
  }

  /** What must hold of the inputs for this path to be taken. */
  get conditions(): readonly Term[] {
    return this.#conditions
  }

  get effects(): readonly Effect[] {
    return this.#effects
  }

  /** Narrows the path. @return whether it is still possible, as far as can be seen without a solver */
  assume(condition: Term): boolean {
    this.#conditions = [...this.#conditions, condition]
    return all(...this.#conditions) !== FALSE
  }

  effect(name: string, args: readonly Term[], results: readonly Term[] = []): void {
    this.#effects = [...this.#effects, { name, args, results }]
  }

  // ---- memory, at known addresses ----

  load(address: Term): Term {
    const at = constant(address, 'an address in memory')
    const known = this.#memory.get(at)
    if (known !== undefined) return known
    const initial = variable(`memory.${String(at)}`)
    // What was never written is anything; what lies across words that were written is anything too.
    const clear = [...this.#memory.keys()].every((other) => other + WORD_BYTES <= at || at + WORD_BYTES <= other)
    const value = clear ? initial : variable(`memory.${String(at)}.${String(this.#memory.size)}.torn`)
    this.#memory.set(at, value)
    return value
  }

  store(address: Term, value: Term): void {
    const at = constant(address, 'an address in memory')
    for (const [other, old] of this.#memory) {
      if (other < at && at < other + WORD_BYTES) {
        const bits = (at - other) * 8n // of the old word that stay
        const mask = bitNot(word((1n << (256n - bits)) - 1n))
        this.#memory.set(other, bitOr(bitAnd(old, mask), shiftRight(value, word(bits))))
      } else if (at < other && other < at + WORD_BYTES) {
        const bits = (other - at) * 8n // of the old word that are kept at its low end
        this.#memory.set(other, bitOr(shiftLeft(value, word(bits)), bitAnd(old, word((1n << bits) - 1n))))
      }
    }
    this.#memory.set(at, value)
  }

  /** Hash of whole words of memory. No two different inputs are taken to have one hash. */
  hash(address: Term, size: Term): Term {
    const bytes = constant(size, 'a size to hash')
    if (bytes % WORD_BYTES !== 0n) throw new ProveError(`only whole words are hashed here, not ${String(bytes)} bytes`)
    const words: Term[] = []
    for (let offset = 0n; offset < bytes; offset += WORD_BYTES) {
      words.push(this.load(add(address, word(offset))))
    }
    return unknown(`keccak.${String(words.length)}`, ...words)
  }

  // ---- storage ----

  read(kind: 'storage' | 'transient', key: Term): Term {
    let value = unknown(kind, key)
    for (const write of this.#writes.get(kind) ?? []) value = ite(sameKey(write.key, key), write.value, value)
    return value
  }

  write(kind: 'storage' | 'transient', key: Term, value: Term): void {
    this.#writes.set(kind, [...(this.#writes.get(kind) ?? []), { key, value }])
  }

  /** The keys of storage that were written, in order, with what was written. */
  written(): readonly Write[] {
    return this.#writes.get('storage') ?? []
  }
}

/** Whether two keys of storage are one: by what was hashed into them, since hashes do not collide. */
export function sameKey(a: Term, b: Term): Term {
  const hashed = isHash(a) && isHash(b) && a.name === b.name
  if (hashed) return all(...a.args.map((each, index) => sameKey(each, b.args[index] ?? each)))
  // A hash is no small number, so a mapping's value never lies in a plain slot.
  if ((a.op === 'const') !== (b.op === 'const') && (isHash(a) || isHash(b))) return FALSE
  return eq(a, b)
}

function isHash(term: Term): boolean {
  return term.op === 'unknown' && term.name.startsWith('keccak.')
}

/** Both ways that a path can go on a condition; the impossible ones left out. */
export function fork(state: State, value: Term): readonly { readonly state: State; readonly taken: boolean }[] {
  const condition = isTrue(value)
  if (condition === TRUE) return [{ state, taken: true }]
  if (condition === FALSE) return [{ state, taken: false }]
  const other = state.clone()
  const ways: { state: State; taken: boolean }[] = []
  if (state.assume(condition)) ways.push({ state, taken: true })
  if (other.assume(not(condition))) ways.push({ state: other, taken: false })
  return ways
}
