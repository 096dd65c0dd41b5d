import { isPanic, nth, possible, violation } from '../subject.js'
import { add, all, atMost, eq, FALSE, implies, not, sub, variable, ZERO } from '../yul/terms.js'
import { fieldsOf, MAX_96, sameButReleased } from './common.js'
import type { Obligation } from './types.js'

const state = variable('state')

export const ORDER_STATE: readonly Obligation[] = [
  {
    name: 'OrderState.create',
    guarantees: 'E4 E9',
    says: 'a new order holds the amount, the shares and the time that it was given, and has released nothing',
    encoding: 'bits',
    claim: (subject) => {
      const amount = variable('amount', 96)
      const [networkBps, royaltyBps] = [variable('networkBps', 16), variable('royaltyBps', 16)]
      const openedAt = variable('openedAt', 32)
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
      const old = fieldsOf(subject, state)
      const endings = subject.run('OrderStateLib.close', [state])
      return {
        never: violation(endings, (ending) => {
          const covered = atMost(old.released, old.amount)
          if (ending.kind === 'revert') return isPanic(ending) ? not(covered) : FALSE
          const after = fieldsOf(subject, nth(ending.values, 0))
          const refund = sub(old.amount, old.released)
          return all(covered, after.closed, sameButReleased(old, after), eq(nth(ending.values, 1), refund))
        }),
        possible: possible(endings),
      }
    },
  },
  {
    name: 'OrderState.isClosed',
    guarantees: 'E4 E5',
    says: 'an order is closed when released is all ones, and one within its amount reads as closed by that only where it is spent',
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
      const facilitatorBps = variable('facilitatorBps', 16)
      const split = subject.values('OrderStateLib.split', subject.value('OrderStateLib.snapshot', state))
      const right = all(
        eq(nth(split, 0), networkBps),
        eq(nth(split, 1), royaltyBps),
        eq(
          subject.value('OrderStateLib.poolBps', state, facilitatorBps),
          add(add(networkBps, royaltyBps), facilitatorBps),
        ),
      )
      return { never: not(right), possible: right }
    },
  },
]
