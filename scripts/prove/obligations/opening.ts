import { type Cuts, effects, isPanic, nth, possible, type Subject, violation } from '../subject.js'
import type { Ending } from '../yul/execute.js'
import {
  add,
  all,
  atMost,
  bitAnd,
  eq,
  FALSE,
  implies,
  isTrue,
  not,
  sub,
  type Term,
  TRUE,
  variable,
  word,
  ZERO,
} from '../yul/terms.js'
import {
  before,
  calls,
  CAPS,
  cleanOrder,
  type Expected,
  fieldsOf,
  firstCall,
  MAX_160,
  now,
  onlyWrites,
  order,
  ORDER,
  orderAt,
  slotsOf,
  terms,
  TERMS,
} from './common.js'
import type { Obligation } from './types.js'

const ORDERS_AT = 0x4000n
const ROW_COUNTS = [0n, 1n, 2n] as const

const BALANCE = 'OwnBalance.ownBalance'
const OPEN_ONE = 'Opening._openOne'
const RECORD = 'Opening._record'
const RECEIVED = 'Opening._requireReceived'

const id = variable('id')
const node = variable('node', 160)

const PULL: Cuts = { 'Pull.prepare': [256], 'Pull.fill': [256], 'Pull.send': [1] }
const HASHES: Cuts = { 'OrderHash.terms': [256], 'OrderHash.order': [256, 256] }

interface Opening {
  readonly name: string
  readonly args: readonly Term[]
  /** Where the order lies. */
  readonly at: Term
  readonly cut: Cuts
  /** The call that brings the tokens, and whether it brought them. */
  readonly brings: Expected
  readonly brought: (ending: Ending, amount: Term) => Term
}

/** `open`, `openFunded`, `openVia`: what happens in which order, and to which amount. */
function opensOne(subject: Subject, opening: Opening): ReturnType<Obligation['claim']> {
  const { name, args, at, cut, brings, brought } = opening
  const endings = subject.run(name, args, {
    cut: { ...HASHES, [OPEN_ONE]: [96], [BALANCE]: [256], [RECEIVED]: [], ...cut },
  })
  const watched = [OPEN_ONE, BALANCE, brings.name, RECEIVED]
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const orderId = firstCall(ending, 'OrderHash.order')?.results[0] ?? ZERO
      const known = not(eq(before(slotsOf(subject, orderId).order), ZERO))
      const opened = isTrue(nth(ending.values, 0))
      const amount = firstCall(ending, OPEN_ONE)?.results[0]
      if (amount === undefined) return all(known, not(opened), calls(ending, watched, []), onlyWrites(ending))
      const balance = firstCall(ending, BALANCE)?.results[0] ?? ZERO
      return all(
        not(known),
        opened,
        calls(ending, watched, [
          { name: OPEN_ONE, args: [orderId, TERMS, at] },
          { name: BALANCE },
          brings,
          { name: RECEIVED, args: [balance, amount] },
        ]),
        brought(ending, amount),
        onlyWrites(ending),
      )
    }),
    possible: possible(endings, ({ values }) => isTrue(nth(values, 0))),
  }
}

interface Batch {
  readonly name: string
  readonly args: readonly Term[]
  readonly cut: Cuts
  /** The call that brings the tokens of one order. */
  readonly brings: string
  readonly count: bigint
}

/** `openBatch`, `openBatchVia`. */
function opensBatch(subject: Subject, { name, args, cut, brings, count }: Batch): ReturnType<Obligation['claim']> {
  const endings = subject.run(name, args, {
    cut: {
      ...HASHES,
      'Opening._freshState': [256],
      [BALANCE]: [256],
      [RECEIVED]: [],
      'GasFloor.requireGas': [],
      ...cut,
    },
    watch: [RECORD],
  })
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const made = ending.state.effects.filter((each) => [BALANCE, brings, RECORD, RECEIVED].includes(each.name))
      const fresh = firstCall(ending, 'Opening._freshState')?.results[0] ?? ZERO
      const records = effects(ending, RECORD)
      const ids = records.map((each) => nth(each.args, 0))
      const sum = records.map((each) => orderAt(nth(each.args, 2)).amount).reduce(add, ZERO)
      // The balance is measured before the first call that brings tokens and after the last, and an order is recorded
      // right after the call that brought its tokens.
      const [first, last] = [made[0], made[made.length - 1]]
      const measured = first?.name === BALANCE && last?.name === RECEIVED && effects(ending, BALANCE).length === 1
      const brought = made.flatMap((each, at) => (each.name === RECORD ? [made[at - 1]] : []))
      if (!measured || brought.some((each) => each?.name !== brings)) return FALSE
      return all(
        ...brought.map((each) => isTrue(each?.results[0] ?? ZERO)),
        ...records.map((each) => eq(nth(each.args, 3), fresh)),
        ...ids.map((each) => eq(before(slotsOf(subject, each).order), ZERO)),
        ...ids.flatMap((each, at) => ids.slice(at + 1).map((other) => not(eq(each, other)))),
        eq(nth(last.args, 0), nth(first.results, 0)),
        eq(nth(last.args, 1), sum),
        onlyWrites(ending, ...ids.map((each) => slotsOf(subject, each).order)),
      )
    }),
    possible: possible(endings, (ending) => (BigInt(effects(ending, RECORD).length) === count ? TRUE : FALSE)),
  }
}

/** The slot that the view `networkBps` reads. */
function networkBpsSlot(subject: Subject): Term {
  const [ending] = subject.run('Opening.syncNetworkBps', [])
  return ending === undefined ? ZERO : nth(ending.state.written(), 0).key
}

/** The token, as the escrow asks it for its balance. */
function tokenOf(subject: Subject): Term {
  const [ending] = subject.run(RECEIVED, [ZERO, ZERO], { cut: { [BALANCE]: [256] } })
  return ending === undefined ? ZERO : nth(firstCall(ending, BALANCE)?.args ?? [], 0)
}

/** The low 16 bits of its word. */
function networkBpsOf(packed: Term): Term {
  return bitAnd(packed, word(0xffffn))
}

export const OPENING: readonly Obligation[] = [
  {
    name: 'Opening.syncNetworkBps',
    guarantees: 'E7 E9 E10',
    says: "the network's share that later orders get stays within its cap; nothing else is written",
    encoding: 'bits',
    claim: (subject) => {
      const slot = networkBpsSlot(subject)
      const endings = subject.run('Opening.syncNetworkBps', [])
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
          return all(atMost(networkBpsOf(ending.state.read('storage', slot)), CAPS.network), onlyWrites(ending, slot))
        }),
        possible: possible(endings),
      }
    },
  },
  {
    name: 'Opening._freshState',
    guarantees: 'E4 E7 E9',
    says: "what orders of one opening share has no amount, nothing released, the time, and shares within their caps, the facilitator's too",
    encoding: 'bits',
    claim: (subject) => {
      const slot = networkBpsSlot(subject)
      const assumed = atMost(networkBpsOf(before(slot)), CAPS.network)
      const endings = subject.run('Opening._freshState', [TERMS, node])
      const wrong = violation(endings, (ending) => {
        if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
        const fresh = fieldsOf(subject, nth(ending.values, 0))
        return all(
          eq(fresh.amount, ZERO),
          eq(fresh.released, ZERO),
          eq(fresh.networkBps, networkBpsOf(before(slot))),
          atMost(fresh.royaltyBps, CAPS.royalty),
          atMost(terms.facilitatorBps, CAPS.facilitator),
          eq(fresh.openedAt, bitAnd(now, word(0xffffffffn))),
          onlyWrites(ending),
        )
      })
      return { never: all(assumed, wrong), possible: all(assumed, possible(endings)) }
    },
  },
  {
    name: RECORD,
    guarantees: 'E1 E4 E9',
    says: 'an opening records the amount that was signed, nothing released, and the shares of the moment, in its own slot only',
    encoding: 'bits',
    claim: (subject) => {
      const slot = slotsOf(subject, id).order
      const shares = [variable('networkBps', 16), variable('royaltyBps', 16), variable('openedAt', 32)]
      const fresh = subject.value('OrderStateLib.create', ...shares)
      const given = fieldsOf(subject, fresh)
      const endings = subject.run(RECORD, [id, node, ORDER, fresh])
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return not(cleanOrder)
          const after = fieldsOf(subject, ending.state.read('storage', slot))
          return all(
            eq(nth(ending.values, 0), order.amount),
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
  {
    name: RECEIVED,
    guarantees: 'E1',
    says: 'an opening goes on only where the balance grew by exactly what was opened',
    encoding: 'integers',
    claim: (subject) => {
      const [balance, expected] = [variable('balanceBefore'), variable('expected')]
      const endings = subject.run(RECEIVED, [balance, expected], { cut: { [BALANCE]: [256] } })
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return TRUE
          const held = firstCall(ending, BALANCE)?.results[0] ?? ZERO
          return all(atMost(balance, held), eq(sub(held, balance), expected), onlyWrites(ending))
        }),
        possible: possible(endings),
      }
    },
  },
  {
    name: OPEN_ONE,
    guarantees: 'E1 E4',
    says: 'one order is recorded, for an amount that is not zero, and the amount that is returned is the one recorded',
    encoding: 'bits',
    claim: (subject) => {
      const endings = subject.run(OPEN_ONE, [id, TERMS, ORDER], {
        cut: { 'Opening._freshState': [256], [RECORD]: [96] },
      })
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
          const fresh = firstCall(ending, 'Opening._freshState')?.results[0] ?? ZERO
          const amount = firstCall(ending, RECORD)?.results[0] ?? ZERO
          return all(
            calls(ending, [RECORD], [{ name: RECORD, args: [id, terms.node, ORDER, fresh] }]),
            eq(nth(ending.values, 0), amount),
            not(eq(order.amount, ZERO)),
            onlyWrites(ending),
          )
        }),
        possible: possible(endings),
      }
    },
  },
  {
    name: 'Opening.open',
    guarantees: 'E1 E5',
    says: 'an opening records one order that was not open, pulls once, and goes on only where exactly its amount arrived; an order that is open moves nothing',
    encoding: 'bits',
    claim: (subject) =>
      opensOne(subject, {
        name: 'Opening.open',
        args: [TERMS, ORDER],
        at: ORDER,
        cut: PULL,
        brings: { name: 'Pull.send' },
        brought: (ending) => isTrue(firstCall(ending, 'Pull.send')?.results[0] ?? ZERO),
      }),
  },
  {
    name: 'Opening.openFunded',
    guarantees: 'E1 E5',
    says: "the same, with the caller's own tokens, of which the amount is taken",
    encoding: 'bits',
    claim: (subject) => {
      const takes = 'SafeERC20.safeTransferFrom' // reverts where it fails
      return opensOne(subject, {
        name: 'Opening.openFunded',
        args: [TERMS, ORDER],
        at: ORDER,
        cut: { [takes]: [] },
        brings: { name: takes, args: [undefined, variable('caller', 160), variable('address', 160)] },
        brought: (ending, amount) => eq(nth(firstCall(ending, takes)?.args ?? [], 3), amount),
      })
    },
  },
  {
    name: 'Opening.openVia',
    guarantees: 'E1 E5',
    says: 'the same, with what a funder delivers',
    encoding: 'bits',
    claim: (subject) => {
      const funder = variable('funder', 160)
      const at = word(ORDERS_AT)
      return opensOne(subject, {
        name: 'Opening.openVia',
        args: [funder, TERMS, at],
        at,
        cut: {},
        brings: { name: 'call', args: [funder, ZERO] },
        brought: (ending) => isTrue(firstCall(ending, 'call')?.results[0] ?? ZERO),
      })
    },
  },
  ...ROW_COUNTS.map((count) => ({
    name: `Opening.openBatch.${String(count)}`,
    guarantees: 'E1 E5 E8',
    says: `of ${String(count)} orders those are recorded that were not open and whose pull succeeded, each once, and their amounts together must have arrived`,
    encoding: 'bits' as const,
    claim: (subject: Subject) =>
      opensBatch(subject, {
        name: 'Opening.openBatch',
        args: [TERMS, word(ORDERS_AT), word(count), variable('gasPerOrder')],
        cut: PULL,
        brings: 'Pull.send',
        count,
      }),
  })),
  ...ROW_COUNTS.map((count) => ({
    name: `Opening.openBatchVia.${String(count)}`,
    guarantees: 'E1 E5 E8',
    says: `the same of ${String(count)} orders that a funder delivers`,
    encoding: 'bits' as const,
    claim: (subject: Subject) =>
      opensBatch(subject, {
        name: 'Opening.openBatchVia',
        args: [variable('funder', 160), TERMS, word(ORDERS_AT), word(count), variable('gasPerOrder')],
        cut: { 'Opening._callWithoutAnswer': [1] },
        brings: 'Opening._callWithoutAnswer',
        count,
      }),
  })),
  {
    name: 'Opening.tryPermit',
    guarantees: 'E1 E10',
    says: 'the token is called once, and the books stay as they are',
    encoding: 'bits',
    claim: (subject) => {
      const args = ['owner', 'value', 'deadline', 'v', 'r', 's'].map((name) =>
        variable(name, name === 'owner' ? 160 : name === 'v' ? 8 : 256),
      )
      const endings = subject.run('Opening.tryPermit', args)
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return FALSE
          const [target = ZERO, value = ZERO] = firstCall(ending, 'call')?.args ?? []
          return all(
            calls(ending, ['call'], [{ name: 'call' }]),
            eq(bitAnd(target, MAX_160), bitAnd(tokenOf(subject), MAX_160)),
            eq(value, ZERO),
            onlyWrites(ending),
          )
        }),
        possible: possible(endings),
      }
    },
  },
]
