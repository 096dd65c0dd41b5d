import { nth, possible, type Subject, violation } from '../subject.js'
import {
  add,
  all,
  atMost,
  eq,
  FALSE,
  implies,
  lessThan,
  not,
  sub,
  type Term,
  variable,
  word,
  ZERO,
} from '../yul/terms.js'
import type { Ending } from '../yul/execute.js'
import { CAPS } from './common.js'
import type { Obligation } from './types.js'

const SHARES_AT = 0x20000n
const POINTER = word(SHARES_AT)

/** The members of `Shares`, in order. Sums over a call stay below 2^128: 2^32 rows of 2^96 at most. */
const MEMBERS = ['node', 'facilitator', 'royalty', 'network', 'pool'] as const
type Sums = Readonly<Record<(typeof MEMBERS)[number], Term>>

const before: Sums = {
  node: variable('shares.node', 128),
  facilitator: variable('shares.facilitator', 128),
  royalty: variable('shares.royalty', 128),
  network: variable('shares.network', 128),
  pool: variable('shares.pool', 128),
}
const snapshot = variable('shares.snapshot', 32)
const facilitatorBps = variable('facilitatorBps', 16)

const MEMORY: readonly (readonly [bigint, Term])[] = [
  ...MEMBERS.map((name, index) => [SHARES_AT + BigInt(index) * 0x20n, before[name]] as const),
  [SHARES_AT + 0xa0n, snapshot],
]

function after(ending: Ending): Sums {
  const member = (name: (typeof MEMBERS)[number]): Term =>
    ending.state.load(word(SHARES_AT + BigInt(MEMBERS.indexOf(name)) * 0x20n))
  return {
    node: member('node'),
    facilitator: member('facilitator'),
    royalty: member('royalty'),
    network: member('network'),
    pool: member('pool'),
  }
}

function snapshotAfter(ending: Ending): Term {
  return ending.state.load(word(SHARES_AT + 0xa0n))
}

function total(sums: Sums): Term {
  return MEMBERS.map((name) => sums[name]).reduce(add)
}

/** What openings check (`_freshState`) and `OrderState` keeps. */
function withinCaps(subject: Subject, snapshot_: Term): Term {
  const split = subject.values('OrderStateLib.split', snapshot_)
  return all(
    atMost(nth(split, 0), CAPS.network),
    atMost(nth(split, 1), CAPS.royalty),
    atMost(facilitatorBps, CAPS.facilitator),
  )
}

/** `OrderStateLib.poolBps`, by its law, of an order with a snapshot. */
function poolBps(subject: Subject, snapshot_: Term): Term {
  const split = subject.values('OrderStateLib.split', snapshot_)
  return add(add(nth(split, 0), nth(split, 1)), facilitatorBps)
}

/** The pool is empty where nobody but the node has a share. Holds at first, and `add` and `divide` keep it. */
function poolHasPayees(subject: Subject, pool: Term, snapshot_: Term): Term {
  return implies(not(eq(pool, ZERO)), not(eq(poolBps(subject, snapshot_), ZERO)))
}

export const SHARES: readonly Obligation[] = [
  {
    name: 'Shares.divide',
    guarantees: 'E1 E7',
    says: 'dividing a pool gives each of network, royalty and facilitator nothing negative, nothing without a share, and together exactly the pool',
    encoding: 'integers',
    claim: (subject) => {
      const split = subject.values('OrderStateLib.split', snapshot)
      const endings = subject.run('SharesLib.divide', [POINTER, facilitatorBps], { memory: MEMORY })
      const assumed = all(withinCaps(subject, snapshot), poolHasPayees(subject, before.pool, snapshot))
      return {
        never: all(
          assumed,
          violation(endings, (ending) => {
            if (ending.kind === 'revert') return FALSE
            const now = after(ending)
            return all(
              eq(now.pool, ZERO),
              eq(now.node, before.node),
              atMost(before.network, now.network),
              atMost(before.royalty, now.royalty),
              atMost(before.facilitator, now.facilitator),
              eq(total(now), total(before)),
              implies(eq(nth(split, 0), ZERO), eq(now.network, before.network)),
              implies(eq(nth(split, 1), ZERO), eq(now.royalty, before.royalty)),
              implies(eq(facilitatorBps, ZERO), eq(now.facilitator, before.facilitator)),
            )
          }),
        ),
        possible: all(assumed, possible(endings), lessThan(ZERO, before.pool)),
      }
    },
  },
  {
    name: 'Shares.add',
    guarantees: 'E1 E4 E7',
    says: "an order's new fees are split between node and pool without loss; neither part is negative, however settlements are cut up",
    encoding: 'integers',
    claim: (subject) => {
      // The order's word is read by two readers, which have laws of their own.
      const [released, cumulativeFee] = [variable('released', 96), variable('cumulativeFee', 96)]
      const orderSnapshot = variable('order.snapshot', 32)
      const fees = sub(cumulativeFee, released)
      const endings = subject.run('SharesLib.add', [POINTER, variable('state'), cumulativeFee, facilitatorBps], {
        memory: MEMORY,
        answers: {
          'OrderStateLib.snapshot': orderSnapshot,
          'OrderStateLib.released': released,
          'OrderStateLib.poolBps': poolBps(subject, orderSnapshot),
        },
      })
      const assumed = all(
        withinCaps(subject, snapshot),
        poolHasPayees(subject, before.pool, snapshot),
        withinCaps(subject, orderSnapshot),
        atMost(released, cumulativeFee),
      )
      return {
        never: all(
          assumed,
          violation(endings, (ending) => {
            if (ending.kind === 'revert') return FALSE
            const now = after(ending)
            return all(
              atMost(before.node, now.node),
              atMost(sub(now.node, before.node), fees),
              eq(total(now), add(total(before), fees)),
              withinCaps(subject, snapshotAfter(ending)),
              poolHasPayees(subject, now.pool, snapshotAfter(ending)),
            )
          }),
        ),
        possible: all(assumed, possible(endings), lessThan(released, cumulativeFee)),
      }
    },
  },
  {
    name: 'Shares.addSlice',
    guarantees: 'E1 E4 E7',
    says: "a slice's fee is split between its node and the pool without loss, and neither part is negative",
    encoding: 'integers',
    claim: (subject) => {
      const fee = variable('fee', 96)
      const bps = poolBps(subject, snapshot)
      const endings = subject.run('SharesLib.addSlice', [POINTER, fee, bps], { memory: MEMORY })
      const assumed = all(withinCaps(subject, snapshot), poolHasPayees(subject, before.pool, snapshot))
      return {
        never: all(
          assumed,
          violation(endings, (ending) => {
            if (ending.kind === 'revert') return FALSE
            const [nodeFee, now] = [nth(ending.values, 0), after(ending)]
            return all(
              atMost(nodeFee, fee),
              eq(add(nodeFee, now.pool), add(before.pool, fee)),
              eq(now.node, before.node),
              eq(now.network, before.network),
              eq(now.royalty, before.royalty),
              eq(now.facilitator, before.facilitator),
              eq(snapshotAfter(ending), snapshot),
              poolHasPayees(subject, now.pool, snapshot),
            )
          }),
        ),
        possible: all(assumed, possible(endings), lessThan(ZERO, fee)),
      }
    },
  },
]
