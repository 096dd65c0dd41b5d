import { effects, isPanic, nth, possible, type Subject, violation } from '../subject.js'
import type { Ending } from '../yul/execute.js'
import {
  add,
  all,
  atMost,
  bitAnd,
  eq,
  FALSE,
  isTrue,
  not,
  sub,
  type Term,
  TRUE,
  unknown,
  variable,
  word,
  ZERO,
} from '../yul/terms.js'
import { fieldsOf } from './orderState.js'
import type { Obligation } from './types.js'

const TERMS = word(0x1000n)
const ORDER = word(0x2000n)
const ROWS_AT = 0x4000n
const now = variable('timestamp', 64)

/** How many rows a call is tried with: the loop over them is run out. */
const ROW_COUNTS = [0n, 1n, 2n] as const
/** Size in calldata of a `SettleRow`. */
const ROW_SIZE = 0x140n

const order = {
  payer: unknown('calldata', ORDER),
  amount: unknown('calldata', add(ORDER, word(0x40n))),
  claimBy: unknown('calldata', add(ORDER, word(0xa0n))),
}

/** What a function that was cut off returned, as a word. */
function returned(name: string, effectsBefore: number, index = 0): Term {
  return unknown(`${name}#${String(index)}`, word(BigInt(effectsBefore)))
}

interface Expected {
  readonly name: string
  /** Arguments that are compared; `undefined` is anything. */
  readonly args?: readonly (Term | undefined)[]
}

/** Whether exactly these calls were made, in this order; of functions that are not named in `watched` nothing is said. */
function calls(ending: Ending, watched: readonly string[], expected: readonly Expected[]): Term {
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

/** Position among all effects of the first call of a function: what it returned is named after it. */
function positionOf(ending: Ending, name: string): number {
  return ending.state.effects.findIndex((each) => each.name === name)
}

const MONEY = [
  'InferenceEscrow._record',
  'InferenceEscrow._close',
  'InferenceEscrow._requireReceived',
  'InferenceEscrow._settleRow',
  'Payouts._refund',
  'Payouts._credit',
  'SharesLib.divide',
]

/** `release` and `reclaim`: the order that is named, its whole rest, to its payer. */
function endsOrder(subject: Subject, name: string, allowed: Term): ReturnType<Obligation['claim']> {
  const endings = subject.run(name, [TERMS, ORDER], {
    cut: { 'InferenceEscrow._orderId': 1, 'InferenceEscrow._close': 1, 'Payouts._refund': 0 },
  })
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const id = returned('InferenceEscrow._orderId', positionOf(ending, 'InferenceEscrow._orderId'))
      const refund = returned('InferenceEscrow._close', positionOf(ending, 'InferenceEscrow._close'))
      return all(
        allowed,
        calls(ending, MONEY, [
          { name: 'InferenceEscrow._close', args: [id] },
          { name: 'Payouts._refund', args: [id, order.payer] },
        ]),
        // As a uint96, which is what `_close` returns.
        eq(nth(nth(effects(ending, 'Payouts._refund'), 0), 2), nth(ending.values, 0)),
        eq(nth(ending.values, 0), refund),
        ending.state.written().length === 0 ? TRUE : FALSE,
      )
    }),
    possible: possible(endings),
  }
}

export const CALLS: readonly Obligation[] = [
  {
    name: 'InferenceEscrow.reclaim',
    guarantees: 'E1 E2 E6',
    says: 'from claimBy on, and never before, the rest of the order that is named goes to its payer, and nothing else moves',
    encoding: 'bits',
    claim: (subject) => endsOrder(subject, 'InferenceEscrow.reclaim', atMost(order.claimBy, now)),
  },
  {
    name: 'InferenceEscrow.release',
    guarantees: 'E1 E2 E6',
    says: "at its node's word only, the rest of the order that is named goes to its payer, and nothing else moves",
    encoding: 'bits',
    claim: (subject) =>
      endsOrder(subject, 'InferenceEscrow.release', eq(variable('caller', 160), unknown('calldata', TERMS))),
  },
  {
    name: 'InferenceEscrow._requireReceived',
    guarantees: 'E1',
    says: 'an opening goes on only where the balance grew by exactly what was opened',
    encoding: 'integers',
    claim: (subject) => {
      const [before, expected] = [variable('balanceBefore'), variable('expected')]
      const endings = subject.run('InferenceEscrow._requireReceived', [before, expected])
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return TRUE
          const balance = answerOf(ending)
          return all(atMost(before, balance), eq(sub(balance, before), expected))
        }),
        possible: possible(endings),
      }
    },
  },
  {
    name: 'InferenceEscrow._freshState',
    guarantees: 'E4 E7 E9',
    says: "what orders of one opening share has no amount, nothing released, a time, and shares within their caps, the facilitator's too",
    encoding: 'bits',
    claim: (subject) => {
      const facilitatorBps = unknown('calldata', add(TERMS, word(0x40n)))
      const endings = subject.run('InferenceEscrow._freshState', [TERMS])
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
          const fresh = fieldsOf(subject, nth(ending.values, 0))
          return all(
            eq(fresh.amount, ZERO),
            eq(fresh.released, ZERO),
            atMost(fresh.networkBps, word(1_000n)),
            atMost(fresh.royaltyBps, word(2_000n)),
            atMost(facilitatorBps, word(2_000n)),
            eq(fresh.openedAt, bitAnd(now, word(0xffffffffn))),
          )
        }),
        possible: possible(endings),
      }
    },
  },
  {
    name: 'InferenceEscrow.open',
    guarantees: 'E1 E5',
    says: 'an opening records one order that was not open, pulls once, and goes on only where exactly its amount arrived; an order that is open moves nothing',
    encoding: 'bits',
    claim: (subject) =>
      opensOne(subject, 'InferenceEscrow.open', {
        pull: 'Pull.send',
        pulled: (ending) => isTrue(returned('Pull.send', positionOf(ending, 'Pull.send'))),
        cut: PULL,
      }),
  },
  {
    name: 'InferenceEscrow.openFunded',
    guarantees: 'E1 E5',
    says: 'a funded opening records one order that was not open, takes tokens once, and goes on only where exactly its amount arrived; an order that is open moves nothing',
    encoding: 'bits',
    claim: (subject) => {
      const pull = 'SafeERC20.safeTransferFrom'
      return opensOne(subject, 'InferenceEscrow.openFunded', {
        pull,
        // It reverts where it fails; what it moves is the amount.
        pulled: (ending) => eq(nth(nth(effects(ending, pull), 0), 3), amountOf(ending)),
        cut: { [pull]: 0 },
      })
    },
  },
  ...ROW_COUNTS.map((count) => ({
    name: `InferenceEscrow.openBatch.${String(count)}`,
    guarantees: 'E1 E5 E8',
    says: `of ${String(count)} orders, those are recorded that were not open and whose pull succeeded, each once, and their amounts together must have arrived`,
    encoding: 'bits' as const,
    claim: (subject: Subject) => opensBatch(subject, count),
  })),
  ...ROW_COUNTS.map((count) => ({
    name: `InferenceEscrow._settle.${String(count)}`,
    guarantees: 'E1 E3 E7',
    says: `of ${String(count)} rows each is settled once, after the verifier accepted; then all fees are divided and credited, once`,
    encoding: 'bits' as const,
    claim: (subject: Subject) => settles(subject, count),
  })),
]

const PULL = { 'Pull.prepare': 1, 'Pull.fill': 1, 'Pull.send': 1 }
const OPENING_CUTS = {
  'OrderHash.terms': 1,
  'OrderHash.order': 2,
  'InferenceEscrow._freshState': 1,
  'InferenceEscrow._requireReceived': 0,
}
const RECORD = 'InferenceEscrow._record'
const RECEIVED = 'InferenceEscrow._requireReceived'

/** The answer of the first contract that was asked. */
function answerOf(ending: Ending): Term {
  return unknown('staticcall.answer', word(BigInt(positionOf(ending, 'staticcall'))))
}

/** The slot of an order, by its id. */
function slotOf(subject: Subject, id: Term): Term {
  const [ending] = subject.run('InferenceEscrow._close', [id])
  return ending === undefined ? ZERO : nth(ending.state.written(), 0).key
}

interface Opening {
  /** The function that brings the tokens, and whether it brought them. */
  readonly pull: string
  readonly pulled: (ending: Ending) => Term
  readonly cut: Readonly<Record<string, number>>
}

/** `open`, `openFunded`: what happens in which order, and to which amounts. */
function opensOne(subject: Subject, name: string, { pull, pulled, cut }: Opening): ReturnType<Obligation['claim']> {
  const endings = subject.run(name, [TERMS, ORDER], { cut: { ...OPENING_CUTS, ...cut }, watch: [RECORD] })
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const at = (each: string): number => positionOf(ending, each)
      const id = returned('OrderHash.order', at('OrderHash.order'))
      const known = not(eq(unknown('storage', slotOf(subject, id)), ZERO))
      const watched = [RECORD, 'staticcall', pull, RECEIVED]
      const opened = isTrue(nth(ending.values, 0))
      if (effects(ending, RECORD).length === 0) return all(not(opened), known, calls(ending, watched, []))
      return all(
        opened,
        not(known),
        calls(ending, watched, [
          { name: RECORD, args: [id] },
          { name: 'staticcall' },
          { name: pull },
          { name: RECEIVED, args: [answerOf(ending), amountOf(ending)] },
        ]),
        not(eq(amountOf(ending), ZERO)),
        pulled(ending),
      )
    }),
    possible: possible(endings, ({ values }) => isTrue(nth(values, 0))),
  }
}

/** The amount, in calldata, of the first order that was recorded. */
function amountOf(ending: Ending, index = 0): Term {
  const record = effects(ending, RECORD)[index]
  return record === undefined ? ZERO : unknown('calldata', add(nth(record, 2), word(0x40n)))
}

function opensBatch(subject: Subject, count: bigint): ReturnType<Obligation['claim']> {
  const endings = subject.run(
    'InferenceEscrow.openBatch',
    [TERMS, word(ROWS_AT), word(count), variable('gasPerOrder')],
    { cut: { ...OPENING_CUTS, ...PULL, 'Pull.requireGas': 0 }, watch: [RECORD] },
  )
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const made = ending.state.effects
      const records = effects(ending, RECORD)
      const ids = records.map((args) => nth(args, 0))
      const received = effects(ending, RECEIVED)
      const sum = records.map((_, index) => amountOf(ending, index)).reduce(add, ZERO)
      const pulledFirst = made.every((each, index) => each.name !== RECORD || made[index - 1]?.name === 'Pull.send')
      const pulled = made.flatMap((each, index) =>
        each.name === RECORD ? [isTrue(returned('Pull.send', index - 1))] : [],
      )
      const measuredFirst = records.length === 0 || positionOf(ending, 'staticcall') < positionOf(ending, 'Pull.send')
      const last = made[made.length - 1]?.name === RECEIVED
      if (!pulledFirst || !measuredFirst || !last || received.length !== 1) return FALSE
      return all(
        ...pulled,
        ...ids.map((id) => eq(unknown('storage', slotOf(subject, id)), ZERO)),
        ...ids.flatMap((id, index) => ids.slice(index + 1).map((other) => not(eq(id, other)))),
        eq(nth(nth(received, 0), 0), answerOf(ending)),
        eq(nth(nth(received, 0), 1), sum),
      )
    }),
    possible: possible(endings, (ending) => (BigInt(effects(ending, RECORD).length) === count ? TRUE : FALSE)),
  }
}

function settles(subject: Subject, count: bigint): ReturnType<Obligation['claim']> {
  const claim = variable('claim', 1)
  const args = [TERMS, word(ROWS_AT), word(count), word(0x8000n), variable('evidenceLength', 64), claim]
  const endings = subject.run('InferenceEscrow._settle', args, {
    cut: {
      'Evidence.prepare': 1,
      'InferenceEscrow._read': 1,
      'Evidence.accepted': 1,
      'Evidence.rowAt': 1,
      'InferenceEscrow._settleRow': 1,
      'SharesLib.divide': 0,
      'Payouts._credit': 0,
    },
  })
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const at = positionOf(ending, 'Evidence.accepted')
      const rowsAt = ending.state.effects.flatMap(({ name }, index) => (name === 'Evidence.rowAt' ? [index] : []))
      const [divided = []] = effects(ending, 'SharesLib.divide')
      const shares = divided[0]
      if (shares === undefined || BigInt(rowsAt.length) !== count) return FALSE
      const rows = rowsAt.map((position, index) => ({
        name: 'InferenceEscrow._settleRow',
        args: [returned('Evidence.rowAt', position), word(ROWS_AT + BigInt(index) * ROW_SIZE), undefined, shares],
      }))
      const untouched = [0x0n, 0x20n, 0x40n, 0x60n, 0x80n, 0xa0n].map((offset) =>
        eq(ending.state.load(add(shares, word(offset))), ZERO),
      )
      return all(
        isTrue(returned('Evidence.accepted', at)),
        calls(
          ending,
          ['Evidence.accepted', ...MONEY],
          [
            { name: 'Evidence.accepted' },
            ...rows,
            { name: 'SharesLib.divide', args: [shares] },
            { name: 'Payouts._credit', args: [TERMS, shares, claim] },
          ],
        ),
        ...effects(ending, 'Evidence.rowAt').map((rowArgs, index) => eq(nth(rowArgs, 1), word(BigInt(index)))),
        ...untouched,
        ending.state.written().length === 0 ? TRUE : FALSE,
      )
    }),
    possible: possible(endings),
  }
}
