import { ProveError } from '../errors.js'
import { nth, type Subject } from '../subject.js'
import type { Ending } from '../yul/execute.js'
import { add, all, any, atMost, eq, FALSE, isTrue, type Term, TRUE, unknown, variable, word } from '../yul/terms.js'

export const MAX_96 = word((1n << 96n) - 1n)
export const MAX_160 = word((1n << 160n) - 1n)

/** Caps in basis points, as SPEC section 4 has them. */
export const CAPS = { network: word(1_000n), royalty: word(2_000n), facilitator: word(2_000n) }

export const now = variable('timestamp', 64)
export const caller = variable('caller', 160)

/** Where in calldata a call finds what it is given: apart, or else anywhere. */
export const TERMS = word(0x1000n)
export const ORDER = word(0x2000n)

function calldata(base: Term, offset: bigint): Term {
  return unknown('calldata', add(base, word(offset)))
}

export const terms = {
  node: calldata(TERMS, 0n),
  facilitator: calldata(TERMS, 0x20n),
  facilitatorBps: calldata(TERMS, 0x40n),
  modelId: calldata(TERMS, 0xa0n),
}

/** An order's members in calldata. */
export function orderAt(base: Term): { readonly payer: Term; readonly amount: Term; readonly claimBy: Term } {
  return { payer: calldata(base, 0n), amount: calldata(base, 0x40n), claimBy: calldata(base, 0xa0n) }
}

export const order = orderAt(ORDER)

/** `OrderHash` refuses orders and terms with bits beyond a member's type. */
export const cleanOrder = all(
  atMost(order.payer, MAX_160),
  atMost(order.amount, MAX_96),
  atMost(order.claimBy, word((1n << 40n) - 1n)),
)
export const cleanTerms = all(
  atMost(terms.node, MAX_160),
  atMost(terms.facilitator, MAX_160),
  atMost(terms.facilitatorBps, word((1n << 16n) - 1n)),
)

/** The members of an order's word, as the contract's own readers give them. */
export interface Fields {
  readonly amount: Term
  readonly released: Term
  readonly networkBps: Term
  readonly royaltyBps: Term
  readonly openedAt: Term
  /** A truth value, as the next one. */
  readonly closed: Term
  readonly known: Term
}

export function fieldsOf(subject: Subject, state: Term): Fields {
  const read = (name: string): Term => subject.value(`OrderStateLib.${name}`, state)
  return {
    amount: read('amount'),
    released: read('released'),
    networkBps: read('networkBps'),
    royaltyBps: read('royaltyBps'),
    openedAt: read('openedAt'),
    closed: isTrue(read('isClosed')),
    known: isTrue(read('isKnown')),
  }
}

/** Whether nothing differs between two orders but what was released. */
export function sameButReleased(a: Fields, b: Fields): Term {
  return all(
    eq(a.amount, b.amount),
    eq(a.networkBps, b.networkBps),
    eq(a.royaltyBps, b.royaltyBps),
    eq(a.openedAt, b.openedAt),
  )
}

/** The slots that one order has, found in what the contract itself reads, so that no layout is repeated here. */
export function slotsOf(subject: Subject, id: Term): { readonly order: Term; readonly routed: Term } {
  const [ending] = subject.run('OrderBook.orders', [id], {
    watch: ['OrderStateLib.amount', 'RoutedStateLib.reserved'],
  })
  const read = (name: string): Term => {
    const found = ending === undefined ? undefined : firstCall(ending, name)?.args[0]
    if (found?.op !== 'unknown' || found.name !== 'storage') throw new ProveError(`${name} must read one slot here`)
    return nth(found.args, 0)
  }
  return { order: read('OrderStateLib.amount'), routed: read('RoutedStateLib.reserved') }
}

/** A word of storage before a call. */
export function before(slot: Term): Term {
  return unknown('storage', slot)
}

export function onlyWrites(ending: Ending, ...slots: readonly Term[]): Term {
  return all(...ending.state.written().map(({ key }) => any(...slots.map((slot) => eq(slot, key)))))
}

export interface Expected {
  readonly name: string
  /** Arguments that are compared; `undefined` is anything. */
  readonly args?: readonly (Term | undefined)[]
}

/** Whether exactly these calls were made, in this order; of functions that are not `watched` nothing is said. */
export function calls(ending: Ending, watched: readonly string[], expected: readonly Expected[]): Term {
  const made = ending.state.effects.filter((each) => watched.includes(each.name))
  if (made.length !== expected.length) return FALSE
  return all(
    ...expected.map(({ name, args = [] }, index) => {
      const call = nth(made, index)
      if (call.name !== name) return FALSE
      return all(...args.map((arg, at) => (arg === undefined ? TRUE : eq(arg, nth(call.args, at)))))
    }),
  )
}

/** The first call of a function, with its results, or nothing. */
export function firstCall(ending: Ending, name: string): Ending['state']['effects'][number] | undefined {
  return ending.state.effects.find((each) => each.name === name)
}
