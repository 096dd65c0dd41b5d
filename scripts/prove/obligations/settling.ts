import { effects, isPanic, nth, possible, type Subject, violation } from '../subject.js'
import type { Ending } from '../yul/execute.js'
import {
  add,
  all,
  any,
  atMost,
  eq,
  FALSE,
  implies,
  isTrue,
  ite,
  lessThan,
  not,
  ONE,
  sub,
  type Term,
  TRUE,
  variable,
  word,
  ZERO,
} from '../yul/terms.js'
import {
  before,
  caller,
  calls,
  cleanOrder,
  cleanTerms,
  fieldsOf,
  type Fields,
  firstCall,
  MAX_96,
  now,
  onlyWrites,
  order,
  ORDER,
  sameButReleased,
  slotsOf,
  terms,
  TERMS,
} from './common.js'
import type { Obligation } from './types.js'

// Where memory holds what is under proof: apart, and apart from free memory.
const ROW_AT = 0x10000n
const ROW = word(ROW_AT)
const SHARES = word(0x20000n)

const ROWS_AT = 0x4000n
/** Size in calldata of a `SettleRow`. */
const ROW_SIZE = 0x140n
/** How many rows a call is tried with: the loop over them is run out. */
const ROW_COUNTS = [0n, 1n, 2n] as const

const id = variable('id')

/** A row as `Evidence.write` leaves it in memory: it refuses rows with bits beyond a member's type. */
const row = {
  requestHash: variable('requestHash'),
  total: variable('total', 96),
  receiptCount: variable('receiptCount', 64),
  close: variable('close', 1),
}
const ROW_MEMORY: readonly (readonly [bigint, Term])[] = [
  [ROW_AT, id],
  [ROW_AT + 0x40n, row.requestHash],
  [ROW_AT + 0xc0n, row.total],
  [ROW_AT + 0x100n, row.receiptCount],
  [ROW_AT + 0x120n, row.close],
]

/** `AccountingModel.releases`. */
function releases({ known, amount, released, closed }: Fields, total: Term): Term {
  return all(known, not(closed), atMost(released, total), atMost(total, amount))
}

/** What an order that ends has released: a routed one through its slices. */
function releasedAtEnd(subject: Subject, direct: Fields, slots: ReturnType<typeof slotsOf>): Term {
  const routed = subject.value('RoutedStateLib.released', before(slots.routed))
  return ite(eq(terms.node, ZERO), routed, direct.released)
}

/** `release` and `reclaim`: the order that is named, its whole rest, to its payer. */
function endsOrder(subject: Subject, name: string, allowed: (id: Term) => Term): ReturnType<Obligation['claim']> {
  const endings = subject.run(name, [TERMS, ORDER], {
    cut: { 'OrderBook._orderId': [256], 'OrderBook._close': [96], 'Payouts._transferOrCredit': [] },
  })
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const orderId = firstCall(ending, 'OrderBook._orderId')?.results[0] ?? ZERO
      const refund = firstCall(ending, 'OrderBook._close')?.results[0] ?? ZERO
      return all(
        allowed(orderId),
        calls(
          ending,
          ['OrderBook._close', 'Payouts._transferOrCredit'],
          [
            { name: 'OrderBook._close', args: [orderId, TERMS] },
            { name: 'Payouts._transferOrCredit', args: [orderId, order.payer, refund] },
          ],
        ),
        eq(nth(ending.values, 0), refund),
        onlyWrites(ending),
      )
    }),
    possible: possible(endings),
  }
}

function settles(subject: Subject, count: bigint): ReturnType<Obligation['claim']> {
  const claim = variable('claim', 1)
  const args = [TERMS, word(ROWS_AT), word(count), word(0x8000n), variable('evidenceLength', 64), claim]
  const watched = ['Settling._settleRow', 'SharesLib.divide', 'Payouts._credit', 'Payouts._payOut']
  const endings = subject.run('Settling._settle', args, {
    cut: {
      'Evidence.prepare': [256],
      'Settling._read': [256],
      'Evidence.accepted': [1],
      'Evidence.rowAt': [256],
      'Settling._settleRow': [1],
      'SharesLib.divide': [],
      'Payouts._credit': [],
      'Payouts._payOut': [256],
    },
  })
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const rows = effects(ending, 'Evidence.rowAt')
      const shares = firstCall(ending, 'SharesLib.divide')?.args[0]
      if (shares === undefined || BigInt(rows.length) !== count) return FALSE
      const settled = rows.map(({ results }, index) => ({
        name: 'Settling._settleRow',
        args: [nth(results, 0), word(ROWS_AT + BigInt(index) * ROW_SIZE), undefined, shares],
      }))
      const paid = effects(ending, 'Payouts._payOut').length > 0
      const accepted = firstCall(ending, 'Evidence.accepted')?.results[0] ?? ZERO
      return all(
        isTrue(accepted),
        not(eq(terms.node, ZERO)), // a routed order is settled by its slices only
        calls(
          ending,
          ['Evidence.accepted', ...watched],
          [
            { name: 'Evidence.accepted' },
            ...settled,
            { name: 'SharesLib.divide', args: [shares] },
            { name: 'Payouts._credit', args: [TERMS, shares] },
            ...(paid ? [{ name: 'Payouts._payOut', args: [terms.node, terms.node] }] : []),
          ],
        ),
        eq(isTrue(claim), paid ? TRUE : FALSE),
        ...rows.map((each, index) => eq(nth(each.args, 1), word(BigInt(index)))),
        startsEmpty(ending, shares),
        onlyWrites(ending),
      )
    }),
    possible: possible(endings),
  }
}

/** What was cut off writes no memory here, so shares are at the end as they were at the start. */
function startsEmpty(ending: Ending, shares: Term): Term {
  const members = [0x0n, 0x20n, 0x40n, 0x60n, 0x80n, 0xa0n]
  return all(...members.map((offset) => eq(ending.state.load(add(shares, word(offset))), ZERO)))
}

export const SETTLING: readonly Obligation[] = [
  {
    name: 'Settling._skipReason',
    guarantees: 'E4 E8',
    says: 'a row is taken if and only if its order is open, it is before claimBy, its total is between released and amount, and it moves something or closes; no row makes it revert',
    encoding: 'bits',
    claim: (subject) => {
      const state = variable('state')
      const claimBy = variable('claimBy', 40)
      const fields = fieldsOf(subject, state)
      const endings = subject.run('Settling._skipReason', [state, ROW, claimBy], { memory: ROW_MEMORY })
      return {
        never: violation(endings, (ending) => {
          if (ending.kind !== 'return') return FALSE
          const close = isTrue(row.close)
          const allowed = all(
            releases(fields, row.total),
            lessThan(now, claimBy),
            any(lessThan(fields.released, row.total), close),
            implies(not(eq(row.requestHash, ZERO)), all(close, atMost(row.receiptCount, ONE))),
          )
          return eq(eq(nth(ending.values, 0), ZERO), allowed)
        }),
        possible: possible(endings, ({ values }) => eq(nth(values, 0), ZERO)),
      }
    },
  },
  {
    name: 'Settling._settleRow',
    guarantees: 'E1 E4 E5 E7 E8',
    says: 'a row that is taken releases up to its total, counts the difference as fees once, refunds the rest once if it closes, and writes no other order; a row that is skipped moves nothing; no row makes it fail by arithmetic',
    encoding: 'bits',
    claim: (subject) => {
      const slot = slotsOf(subject, id).order
      const state = before(slot)
      const old = fieldsOf(subject, state)
      const facilitatorBps = variable('facilitatorBps', 16)
      const endings = subject.run('Settling._settleRow', [ROW, ORDER, facilitatorBps, SHARES], {
        memory: ROW_MEMORY,
        cut: { 'SharesLib.add': [], 'Payouts._transferOrCredit': [] },
      })
      const close = isTrue(row.close)
      const added = { name: 'SharesLib.add', args: [SHARES, state, row.total, facilitatorBps] }
      const refund = sub(old.amount, row.total)
      const refunded = { name: 'Payouts._transferOrCredit', args: [id, order.payer, refund] }
      const money = ['SharesLib.add', 'Payouts._transferOrCredit']
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return not(cleanOrder)
          const taken = isTrue(nth(ending.values, 0))
          const after = fieldsOf(subject, ending.state.read('storage', slot))
          return any(
            all(not(taken), calls(ending, money, []), onlyWrites(ending)),
            all(
              taken,
              releases(old, row.total),
              sameButReleased(old, after),
              eq(after.released, ite(close, MAX_96, row.total)),
              onlyWrites(ending, slot),
              any(all(close, calls(ending, money, [added, refunded])), all(not(close), calls(ending, money, [added]))),
            ),
          )
        }),
        possible: all(
          possible(endings, ({ values }) => all(isTrue(nth(values, 0)), close)),
          lessThan(old.released, row.total),
        ),
      }
    },
  },
  ...ROW_COUNTS.map((count) => ({
    name: `Settling._settle.${String(count)}`,
    guarantees: 'E1 E3 E7',
    says: `of ${String(count)} rows of a direct order's terms each is settled once, after the verifier accepted; then all fees are divided and credited, once`,
    encoding: 'bits' as const,
    claim: (subject: Subject) => settles(subject, count),
  })),
  {
    name: 'OrderBook._close',
    guarantees: 'E1 E5 E6 E7',
    says: 'an order that is open and within its amount ends with its whole rest returned, once, a routed one with what its slices did not take; no other order is written; any other order is refused',
    encoding: 'bits',
    claim: (subject) => {
      const slots = slotsOf(subject, id)
      const old = fieldsOf(subject, before(slots.order))
      const open = all(old.known, not(old.closed))
      const released = releasedAtEnd(subject, old, slots)
      const covered = atMost(released, old.amount)
      const endings = subject.run('OrderBook._close', [id, TERMS])
      const wrong = violation(endings, (ending) => {
        if (ending.kind === 'revert') return isPanic(ending) ? not(covered) : not(open)
        const after = fieldsOf(subject, ending.state.read('storage', slots.order))
        return all(
          open,
          covered,
          after.closed,
          sameButReleased(old, after),
          onlyWrites(ending, slots.order),
          eq(nth(ending.values, 0), sub(old.amount, released)),
        )
      })
      return {
        never: all(cleanTerms, wrong),
        possible: all(
          cleanTerms,
          eq(terms.node, ZERO),
          possible(endings, ({ values }) => not(eq(nth(values, 0), ZERO))),
        ),
      }
    },
  },
  {
    name: 'OrderBook.reclaim',
    guarantees: 'E1 E2 E6',
    says: 'from claimBy on, and never before, the rest of the order that is named goes to its payer, and nothing else moves',
    encoding: 'bits',
    claim: (subject) => endsOrder(subject, 'OrderBook.reclaim', () => atMost(order.claimBy, now)),
  },
  {
    name: 'OrderBook.release',
    guarantees: 'E1 E2 E6',
    says: "at its node's word, or at the facilitator's where no slice is reserved, the rest of the order that is named goes to its payer, and nothing else moves",
    encoding: 'bits',
    claim: (subject) =>
      endsOrder(subject, 'OrderBook.release', (orderId) => {
        const reserved = subject.value('RoutedStateLib.reserved', before(slotsOf(subject, orderId).routed))
        const routed = all(eq(terms.node, ZERO), eq(caller, terms.facilitator), eq(reserved, ZERO))
        return any(all(not(eq(terms.node, ZERO)), eq(caller, terms.node)), routed)
      }),
  },
]
