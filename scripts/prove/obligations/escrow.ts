import { effects, isPanic, nth, possible, type Subject, violation } from '../subject.js'
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
  unknown,
  variable,
  word,
  ZERO,
} from '../yul/terms.js'
import type { Ending } from '../yul/execute.js'
import { fieldsOf, type Fields, sameButReleased } from './orderState.js'
import type { Obligation } from './types.js'

const MAX_96 = word((1n << 96n) - 1n)

// Where the calls under proof find their data: apart from each other and from free memory.
const ROW_AT = 0x10000n
const ROW = word(ROW_AT)
const SHARES = word(0x20000n)
const ORDER = word(0x1000n)

const id = variable('id')
const now = variable('timestamp', 64)

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

/** The order's members in calldata. */
const order = {
  payer: unknown('calldata', ORDER),
  amount: unknown('calldata', add(ORDER, word(0x40n))),
  claimBy: unknown('calldata', add(ORDER, word(0xa0n))),
}

/** `OrderHash.order` refuses orders with bits beyond a member's type. */
const cleanOrder = all(
  atMost(order.payer, word((1n << 160n) - 1n)),
  atMost(order.amount, MAX_96),
  atMost(order.claimBy, word((1n << 40n) - 1n)),
)

/** `AccountingModel.releases`. */
function releases({ known, amount, released, closed }: Fields, total: Term): Term {
  return all(known, not(closed), atMost(released, total), atMost(total, amount))
}

/** The slot of an order: the one that `_close` reads, so that nothing here repeats the layout of storage. */
function orderSlot(subject: Subject): Term {
  const [ending] = subject.run('InferenceEscrow._close', [id])
  const slot = ending === undefined ? undefined : nth(ending.state.written(), 0).key
  return slot ?? ZERO
}

function onlyWrites(ending: Ending, key: Term): Term {
  return all(...ending.state.written().map((write) => eq(write.key, key)))
}

function isCall(args: readonly Term[] | undefined, expected: readonly Term[]): Term {
  if (args?.length !== expected.length) return FALSE
  return all(...expected.map((each, index) => eq(nth(args, index), each)))
}

export const ESCROW: readonly Obligation[] = [
  {
    name: 'InferenceEscrow._skipReason',
    guarantees: 'E4 E8',
    says: 'a row that is not skipped is of an open order before claimBy, its total between released and amount, and moves something or closes; no row makes it revert',
    encoding: 'bits',
    claim: (subject) => {
      const state = variable('state')
      const claimBy = variable('claimBy', 40)
      const fields = fieldsOf(subject, state)
      const endings = subject.run('InferenceEscrow._skipReason', [state, ROW, claimBy], { memory: ROW_MEMORY })
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
          // Both ways: what is allowed is not skipped either.
          return eq(eq(nth(ending.values, 0), ZERO), allowed)
        }),
        possible: possible(endings, ({ values }) => eq(nth(values, 0), ZERO)),
      }
    },
  },
  {
    name: 'InferenceEscrow._settleRow',
    guarantees: 'E1 E4 E5 E7 E8',
    says: 'a row that is taken releases up to its total, counts the difference as fees once, refunds the rest once if it closes, and writes no other order; a row that is skipped moves nothing; no row makes it fail by arithmetic',
    encoding: 'bits',
    claim: (subject) => {
      const slot = orderSlot(subject)
      const state = unknown('storage', slot)
      const before = fieldsOf(subject, state)
      const facilitatorBps = variable('facilitatorBps', 16)
      const endings = subject.run('InferenceEscrow._settleRow', [ROW, ORDER, facilitatorBps, SHARES], {
        memory: ROW_MEMORY,
        cut: { 'SharesLib.add': 0, 'Payouts._refund': 0 },
      })
      const close = isTrue(row.close)
      return {
        never: violation(endings, (ending) => {
          // What reverts is calldata with bits beyond a member's type, which is refused before.
          if (ending.kind === 'revert') return not(cleanOrder)
          const taken = isTrue(nth(ending.values, 0))
          const after = fieldsOf(subject, ending.state.read('storage', slot))
          const added = effects(ending, 'SharesLib.add')
          const refunded = effects(ending, 'Payouts._refund')
          const nothing = added.length === 0 && refunded.length === 0 && ending.state.written().length === 0
          const counted = added.length === 1 ? isCall(added[0], [SHARES, state, row.total, facilitatorBps]) : FALSE
          const refund = ite(close, sub(before.amount, row.total), ZERO)
          const returned = refunded.length === 1 ? isCall(refunded[0], [id, order.payer, refund]) : FALSE
          return all(
            implies(not(taken), nothing ? TRUE : FALSE),
            implies(
              taken,
              all(
                releases(before, row.total),
                sameButReleased(before, after),
                eq(after.released, ite(close, MAX_96, row.total)),
                onlyWrites(ending, slot),
                counted,
                returned,
              ),
            ),
          )
        }),
        possible: all(
          possible(endings, ({ values }) => all(isTrue(nth(values, 0)), close)),
          lessThan(before.released, row.total),
        ),
      }
    },
  },
  {
    name: 'InferenceEscrow._close',
    guarantees: 'E1 E5 E6 E7',
    says: 'an order that is open and within its amount ends with its whole rest returned, once; no other order is written; any other order is refused',
    encoding: 'bits',
    claim: (subject) => {
      const slot = orderSlot(subject)
      const before = fieldsOf(subject, unknown('storage', slot))
      const open = all(before.known, not(before.closed))
      const covered = atMost(before.released, before.amount)
      const endings = subject.run('InferenceEscrow._close', [id])
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return isPanic(ending) ? not(covered) : not(open)
          const after = fieldsOf(subject, ending.state.read('storage', slot))
          const refund = sub(before.amount, before.released)
          return all(
            open,
            covered,
            after.closed,
            sameButReleased(before, after),
            onlyWrites(ending, slot),
            eq(nth(ending.values, 0), refund),
          )
        }),
        possible: possible(endings, ({ values }) => not(eq(nth(values, 0), ZERO))),
      }
    },
  },
  {
    name: 'InferenceEscrow._record',
    guarantees: 'E1 E4 E9',
    says: 'an opening records the amount that was signed, nothing released, and the shares of the moment, in its own slot only',
    encoding: 'bits',
    claim: (subject) => {
      const slot = orderSlot(subject)
      const fresh = subject.value(
        'OrderStateLib.create',
        variable('networkBps', 16),
        variable('royaltyBps', 16),
        variable('openedAt', 32),
      )
      const given = fieldsOf(subject, fresh)
      const endings = subject.run('InferenceEscrow._record', [id, variable('node', 160), ORDER, fresh])
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return not(cleanOrder)
          const after = fieldsOf(subject, ending.state.read('storage', slot))
          return all(
            eq(after.amount, order.amount),
            eq(after.released, ZERO),
            not(after.closed),
            implies(not(eq(order.amount, ZERO)), after.known),
            eq(after.networkBps, given.networkBps),
            eq(after.royaltyBps, given.royaltyBps),
            eq(after.openedAt, given.openedAt),
            onlyWrites(ending, slot),
          )
        }),
        possible: possible(endings),
      }
    },
  },
]
