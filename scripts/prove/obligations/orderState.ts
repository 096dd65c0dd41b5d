import { isPanic, nth, possible, type Subject, violation } from '../subject.js'
import {
  add,
  all,
  atMost,
  eq,
  FALSE,
  implies,
  isTrue,
  not,
  sub,
  type Term,
  variable,
  word,
  ZERO,
} from '../yul/terms.js'
import type { Obligation } from './types.js'

const MAX_96 = word((1n << 96n) - 1n)

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

const state = variable('state')

export const ORDER_STATE: readonly Obligation[] = [
  {
    name: 'OrderState.create',
    guarantees: 'E4 E9',
    says: 'a new order holds the amount, the shares and the time that it was given, and has released nothing',
    encoding: 'bits',
    claim: (subject) => {
      const [amount, networkBps, royaltyBps, openedAt] = [
        variable('amount', 96),
        variable('networkBps', 16),
        variable('royaltyBps', 16),
        variable('openedAt', 32),
      ]
      const fresh = subject.value('OrderStateLib.create', networkBps, royaltyBps, openedAt)
      const fields = fieldsOf(subject, subject.value('OrderStateLib.withAmount', fresh, amount))
      const right = all(
        eq(fields.amount, amount),
        eq(fields.released, ZERO),
        eq(fields.networkBps, networkBps),
        eq(fields.royaltyBps, royaltyBps),
        eq(fields.openedAt, openedAt),
        not(fields.closed),
        implies(not(eq(amount, ZERO)), fields.known),
      )
      return { never: not(right), possible: right }
    },
  },
  {
    name: 'OrderState.release',
    guarantees: 'E4 E9',
    says: 'releasing sets what was released and nothing else, for every word',
    encoding: 'bits',
    claim: (subject) => {
      const total = variable('total', 96)
      const after = fieldsOf(subject, subject.value('OrderStateLib.release', state, total))
      const right = all(sameButReleased(fieldsOf(subject, state), after), eq(after.released, total))
      return { never: not(right), possible: right }
    },
  },
  {
    name: 'OrderState.close',
    guarantees: 'E5 E7 E9',
    says: 'closing gives back the amount less what was released, marks the order closed and changes nothing else; it fails only where more than the amount was released',
    encoding: 'bits',
    claim: (subject) => {
      const before = fieldsOf(subject, state)
      const endings = subject.run('OrderStateLib.close', [state])
      return {
        never: violation(endings, (ending) => {
          const covered = atMost(before.released, before.amount)
          if (ending.kind === 'revert') return isPanic(ending) ? not(covered) : FALSE
          const after = fieldsOf(subject, nth(ending.values, 0))
          const refund = sub(before.amount, before.released)
          return all(covered, after.closed, sameButReleased(before, after), eq(nth(ending.values, 1), refund))
        }),
        possible: possible(endings),
      }
    },
  },
  {
    name: 'OrderState.isClosed',
    guarantees: 'E4 E5',
    says: 'an order is closed when released is all ones, and an order within its amount is closed by that only where it is spent',
    encoding: 'bits',
    claim: (subject) => {
      const fields = fieldsOf(subject, state)
      const spent = all(eq(fields.amount, MAX_96), eq(fields.released, MAX_96))
      const right = all(
        eq(fields.closed, eq(fields.released, MAX_96)),
        implies(all(fields.closed, atMost(fields.released, fields.amount)), spent),
      )
      return { never: not(right), possible: fields.closed }
    },
  },
  {
    name: 'OrderState.snapshot',
    guarantees: 'E7 E9',
    says: 'the shares that fees are divided by are those that the order was opened with',
    encoding: 'bits',
    claim: (subject) => {
      const { networkBps, royaltyBps } = fieldsOf(subject, state)
      const snapshot = subject.value('OrderStateLib.snapshot', state)
      const split = subject.values('OrderStateLib.split', snapshot)
      const right = all(
        eq(nth(split, 0), networkBps),
        eq(nth(split, 1), royaltyBps),
        eq(subject.value('OrderStateLib.sum', snapshot), add(networkBps, royaltyBps)),
      )
      return { never: not(right), possible: right }
    },
  },
]
