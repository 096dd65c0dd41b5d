import type { ContractCode } from './compile.js'
import { ProveError } from './errors.js'
import { calledBy } from './yul/ast.js'
import { execute, type Cut, type Ending } from './yul/execute.js'
import { type Effect, State } from './yul/state.js'
import { add, all, any, FALSE, not, type Term, TRUE, unknownOf, word } from './yul/terms.js'

/** Free memory starts far from everything that a proof places by hand. */
const FREE_MEMORY = word(0x100000n)
const FREE_MEMORY_POINTER = word(0x40n)
const PANIC = word(0x4e487b71n)

export type Returned = Extract<Ending, { kind: 'return' }>

/** Names of functions with the sizes in bits of what they return. */
export type Cuts = Readonly<Record<string, readonly number[]>>

export interface RunOptions {
  /** Functions that are not looked into: each call is noted as an effect, and returns unknown words. */
  readonly cut?: Cuts
  /** Functions whose calls are noted as effects too, and run. */
  readonly watch?: readonly string[]
  /** Readers that are not looked into either, with what each answers. */
  readonly answers?: Readonly<Record<string, Term>>
  /** Words of memory at the start. */
  readonly memory?: readonly (readonly [address: bigint, value: Term])[]
}

/** Dynamic data is encoded into so many bytes here. How many they are is no matter of the accounting. */
const ENCODED_SIZE = word(0x400n)
const DYNAMIC_ENCODER = /^abi_encode_tuple_.*t_bytes_calldata_ptr/

/** A contract's code under proof: runs its functions on terms, by their names in Solidity. */
export class Subject {
  readonly #code: ContractCode

  constructor(code: ContractCode) {
    this.#code = code
  }

  /** Every way in which a call can end. */
  run(
    name: string,
    args: readonly Term[],
    { cut = {}, watch = [], answers = {}, memory = [] }: RunOptions = {},
  ): readonly Ending[] {
    const state = State.fresh()
    state.store(FREE_MEMORY_POINTER, FREE_MEMORY)
    for (const [address, value] of memory) state.store(word(address), value)
    const cuts = new Map<string, Cut>()
    for (const [each, results] of Object.entries(cut)) cuts.set(this.#code.find(each), noted(each, results))
    for (const [each, answer] of Object.entries(answers)) cuts.set(this.#code.find(each), () => [answer])
    for (const encoder of this.#code.functions.keys()) {
      if (DYNAMIC_ENCODER.test(encoder)) cuts.set(encoder, (_, [head = ENCODED_SIZE]) => [add(head, ENCODED_SIZE)])
    }
    const watched = new Map(watch.map((each) => [this.#code.find(each), each]))
    return execute({ functions: this.#code.functions, cuts, watched }, this.#code.find(name), args, state)
  }

  /** The results of a function that has one way to end, and returns. */
  values(name: string, ...args: readonly Term[]): readonly Term[] {
    const [only, ...others] = this.run(name, args)
    if (only?.kind !== 'return' || others.length > 0) throw new ProveError(`${name} must have one way to end`)
    return only.values
  }

  value(name: string, ...args: readonly Term[]): Term {
    return nth(this.values(name, ...args), 0)
  }

  /** The Solidity functions that call a function or use an instruction, not counting what they do through others. */
  callersOf(name: string): readonly string[] {
    const target = this.#code.functions.has(name) || !name.includes('.') ? name : this.#code.find(name)
    const reaching = new Set([target])
    // Helpers that solc wrote count as a part of what calls them.
    for (let before = 0; before !== reaching.size;) {
      before = reaching.size
      for (const [caller, definition] of this.#code.functions) {
        const helper = !caller.startsWith('fun_')
        const calls = calledBy(definition)
        const calling = [...reaching].some((each) => calls.has(each) && (each === target || !each.startsWith('fun_')))
        if (calling && (helper || caller !== target)) reaching.add(caller)
      }
    }
    const callers = [...reaching].filter((each) => each !== target && each.startsWith('fun_'))
    return [...new Set(callers.map((each) => this.#code.nameOf(each)))].sort()
  }
}

function noted(name: string, bits: readonly number[]): Cut {
  return (state, args) => {
    // Each call answers anew: nothing is known of its results but their size, nor that they are the same twice.
    const position = word(BigInt(state.effects.length))
    const results = bits.map((each, index) => unknownOf(each, `${name}#${String(index)}`, position))
    state.effect(name, args, results)
    return results
  }
}

/** Holds where some path is taken and its property fails: what must be impossible. */
export function violation(endings: readonly Ending[], property: (ending: Ending) => Term): Term {
  return any(...endings.map((ending) => all(...ending.state.conditions, not(property(ending)))))
}

/** Holds where a call returns: what must be possible, or a proof would say nothing. */
export function possible(endings: readonly Ending[], property: (ending: Returned) => Term = () => TRUE): Term {
  return any(
    ...endings.map((ending) => (ending.kind === 'return' ? all(...ending.state.conditions, property(ending)) : FALSE)),
  )
}

export function isPanic(ending: Ending): boolean {
  return ending.kind === 'revert' && ending.selector === PANIC
}

/** The effects of one name, in order. */
export function effects(ending: Ending, name: string): readonly Effect[] {
  return ending.state.effects.filter((each) => each.name === name)
}

export function nth<T>(list: readonly T[], index: number): T {
  const found = list[index]
  if (found === undefined) throw new ProveError(`there is no element ${String(index)} of ${String(list.length)}`)
  return found
}
