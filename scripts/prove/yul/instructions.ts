import { ProveError } from '../errors.js'
import type { State } from './state.js'
import {
  add,
  bitAnd,
  bitNot,
  bitOr,
  bitXor,
  constant,
  div,
  eq,
  fromBool,
  isTrue,
  lessThan,
  lessThanSigned,
  mul,
  not,
  shiftLeft,
  shiftRight,
  sub,
  type Term,
  unknown,
  unknownOf,
  variable,
  word,
  ZERO,
} from './terms.js'

type Outcome =
  { readonly kind: 'values'; readonly values: readonly Term[] } | { readonly kind: 'revert'; readonly selector: Term }

const PURE: Readonly<Record<string, (a: Term, b: Term) => Term>> = {
  add,
  sub,
  mul,
  div,
  and: bitAnd,
  or: bitOr,
  xor: bitXor,
  not: bitNot,
  shl: (bits, value) => shiftLeft(value, bits),
  shr: (bits, value) => shiftRight(value, bits),
  eq: (a, b) => fromBool(eq(a, b)),
  lt: (a, b) => fromBool(lessThan(a, b)),
  gt: (a, b) => fromBool(lessThan(b, a)),
  slt: (a, b) => fromBool(lessThanSigned(a, b)),
  sgt: (a, b) => fromBool(lessThanSigned(b, a)),
  iszero: (a) => fromBool(not(isTrue(a))),
}

const CALLDATASIZE_BITS = 64

/** What the surroundings answer: the same throughout a call. */
const ENVIRONMENT: Readonly<Record<string, number>> = {
  timestamp: 64,
  caller: 160,
  address: 160,
  chainid: 256,
  callvalue: 256,
  calldatasize: CALLDATASIZE_BITS,
  gas: 64,
}

/** Contracts that are asked answer with one word: solc's decoder refuses less, and reads no more. */
const ANSWER_SIZE = word(32n)

/** Runs one instruction. Ending a call well counts as leaving the function, and does not occur inside one. */
export function runInstruction(name: string, args: readonly Term[], state: State): Outcome {
  const [a = ZERO, b = ZERO] = args
  const pure = PURE[name]
  if (pure !== undefined) return values(pure(a, b))
  const bits = ENVIRONMENT[name]
  if (bits !== undefined) return values(variable(name, bits))
  switch (name) {
    case 'mload':
      return values(state.load(a))
    case 'mstore':
      state.store(a, b)
      return values()
    case 'keccak256':
      return values(state.hash(a, b))
    case 'sload':
      return values(state.read('storage', a))
    case 'sstore':
      state.write('storage', a, b)
      return values()
    case 'tload':
      return values(state.read('transient', a))
    case 'tstore':
      state.write('transient', a, b)
      return values()
    case 'calldataload':
      return values(unknown('calldata', a))
    case 'loadimmutable':
      return values(unknown('immutable', a))
    case 'linkersymbol': // a library's address, which calls of internal functions carry and drop
      return values(unknown('library', a))
    case 'extcodesize':
      return values(unknown('codesize', a))
    case 'calldatacopy': // from behind its end, which is how solc writes zeros
      if (b !== variable('calldatasize', CALLDATASIZE_BITS))
        throw new ProveError('calldatacopy may only write zeros here')
      for (let offset = 0n; offset < constant(nth(args, 2), 'a size to copy'); offset += 32n) {
        state.store(add(a, word(offset)), ZERO)
      }
      return values()
    case 'returndatasize':
      return values(ANSWER_SIZE)
    case 'returndatacopy': // of what an unsuccessful call said, on the way to a revert
      state.effect(name, args)
      return values()
    case 'call': // has seven arguments, the second of them whom to call
      return values(called(name, state, [b, nth(args, 2)], [nth(args, 5), nth(args, 6)]))
    case 'staticcall': // has no value to send
      return values(called(name, state, [b], [nth(args, 4), nth(args, 5)]))
    case 'log0':
    case 'log1':
    case 'log2':
    case 'log3':
    case 'log4':
      state.effect('log', args.slice(2))
      return values()
    case 'pop':
      return values()
    case 'invalid':
      return { kind: 'revert', selector: ZERO }
    case 'revert':
      return { kind: 'revert', selector: constant(b, "a revert's size") === 0n ? ZERO : selectorAt(state, a) }
    default:
      throw new ProveError(`the instruction ${name} is not known here: cut off the function that holds it`)
  }
}

/** A call of another contract: it succeeds or not, and answers with one word that may be anything. */
function called(name: string, state: State, args: readonly Term[], [at, size]: readonly [Term, Term]): Term {
  const position = word(BigInt(state.effects.length))
  const [success, answer] = [unknownOf(1, `${name}.success`, position), unknown(`${name}.answer`, position)]
  state.effect(name, args, [success, answer])
  if (size !== ZERO) state.store(at, answer)
  return success
}

function nth(args: readonly Term[], index: number): Term {
  return args[index] ?? ZERO
}

function values(...list: readonly Term[]): Outcome {
  return { kind: 'values', values: list }
}

function selectorAt(state: State, address: Term): Term {
  // What another contract said is handed on as it is.
  if (state.effects.some((effect) => effect.name === 'returndatacopy')) return ZERO
  return shiftRight(state.load(address), word(224n))
}
