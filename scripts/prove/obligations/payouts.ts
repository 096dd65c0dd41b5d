import { ProveError } from '../errors.js'
import { type Cuts, effects, isPanic, nth, possible, type RunOptions, type Subject, violation } from '../subject.js'
import type { Ending } from '../yul/execute.js'
import {
  add,
  all,
  any,
  atMost,
  bitAnd,
  eq,
  FALSE,
  isTrue,
  ite,
  not,
  ONE,
  shiftRight,
  sub,
  type Term,
  TRUE,
  unknown,
  variable,
  word,
  ZERO,
} from '../yul/terms.js'
import { before, calls, cleanTerms, type Expected, firstCall, onlyWrites, terms, TERMS } from './common.js'
import type { Obligation } from './types.js'

const SHARES_AT = 0x20000n
const POINTER = word(SHARES_AT)
const NODES_AT = 0x4000n

const ADD = 'Credits.add'
const EMPTY = 'Credits.empty'
const EMPTY_NETWORK = 'Credits.emptyNetwork'
const TRANSFER = 'SafeERC20.safeTransfer'
const TRY_TRANSFER = 'SafeERC20.trySafeTransfer'
const MONEY = [ADD, EMPTY, EMPTY_NETWORK, TRANSFER, TRY_TRANSFER]

/** The bucket's functions, which have laws of their own, and transfers. */
const CUT: Cuts = {
  [ADD]: [],
  [EMPTY]: [128, 128],
  [EMPTY_NETWORK]: [128],
  [TRANSFER]: [],
  [TRY_TRANSFER]: [1],
}

const shares = {
  node: variable('shares.node', 128),
  facilitator: variable('shares.facilitator', 128),
  royalty: variable('shares.royalty', 128),
  network: variable('shares.network', 128),
}
const MEMORY: RunOptions['memory'] = [
  [SHARES_AT, shares.node],
  [SHARES_AT + 0x20n, shares.facilitator],
  [SHARES_AT + 0x40n, shares.royalty],
  [SHARES_AT + 0x60n, shares.network],
]

const bucket = variable('bucket')
const LOW = word((1n << 128n) - 1n)
const HALF = word(1n << 127n)

/** What a bucket's word is worth to its account, and to the network. */
function worth(packed: Term): { readonly own: Term; readonly network: Term } {
  const plusOne = bitAnd(packed, LOW)
  return { own: ite(eq(plusOne, ZERO), ZERO, sub(plusOne, ONE)), network: shiftRight(packed, word(128n)) }
}

function afterwards(ending: Ending): ReturnType<typeof worth> {
  return worth(ending.state.read('storage', bucket))
}

const CREDITS: readonly Obligation[] = [
  {
    name: 'Credits.value',
    guarantees: 'E1',
    says: "a bucket's own part is worth its number less one, and that of an untouched one nothing; reading never fails",
    encoding: 'bits',
    claim: (subject) => {
      const endings = subject.run('Credits.value', [bucket])
      return {
        never: violation(endings, (ending) =>
          ending.kind === 'return' ? eq(nth(ending.values, 0), worth(before(bucket)).own) : FALSE,
        ),
        possible: possible(endings),
      }
    },
  },
  {
    name: ADD,
    guarantees: 'E1 E7',
    says: 'a credit raises both parts of its own bucket by what is said, whatever the bucket went through before, and writes nothing else',
    encoding: 'bits',
    claim: (subject) => {
      const [amount, networkAmount] = [variable('amount', 127), variable('networkAmount', 127)]
      const old = worth(before(bucket))
      // No supply comes near half of what a part can hold.
      const assumed = all(atMost(add(old.own, amount), HALF), atMost(add(old.network, networkAmount), HALF))
      const endings = subject.run(ADD, [bucket, amount, networkAmount])
      const wrong = violation(endings, (ending) => {
        if (ending.kind === 'revert') return FALSE
        const { own, network } = afterwards(ending)
        const right = all(eq(own, add(old.own, amount)), eq(network, add(old.network, networkAmount)))
        return all(right, onlyWrites(ending, bucket))
      })
      return { never: all(assumed, wrong), possible: all(assumed, possible(endings)) }
    },
  },
  {
    name: EMPTY,
    guarantees: 'E1 E5',
    says: 'emptying a bucket gives what both parts are worth and leaves nothing in it',
    encoding: 'bits',
    claim: (subject) => {
      const old = worth(before(bucket))
      const endings = subject.run(EMPTY, [bucket])
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return FALSE
          const { own, network } = afterwards(ending)
          const given = all(eq(nth(ending.values, 0), old.own), eq(nth(ending.values, 1), old.network))
          return all(given, eq(own, ZERO), eq(network, ZERO), onlyWrites(ending, bucket))
        }),
        possible: possible(endings),
      }
    },
  },
  {
    name: EMPTY_NETWORK,
    guarantees: 'E1 E5',
    says: "taking out the network's part gives what it is worth, leaves nothing in it, and leaves the account its own",
    encoding: 'bits',
    claim: (subject) => {
      const old = worth(before(bucket))
      const endings = subject.run(EMPTY_NETWORK, [bucket])
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return FALSE
          const { own, network } = afterwards(ending)
          const given = eq(nth(ending.values, 0), old.network)
          return all(given, eq(own, old.own), eq(network, ZERO), onlyWrites(ending, bucket))
        }),
        possible: possible(endings),
      }
    },
  },
]

/** The slot of the bucket that a view of the contract reads, so that nothing here repeats the layout of storage. */
function slotOf(subject: Subject, view: string, ...key: readonly Term[]): Term {
  const [ending] = subject.run(view, key, { cut: { 'Credits.value': [256] } })
  const slot = ending === undefined ? undefined : firstCall(ending, 'Credits.value')?.args[0]
  if (slot === undefined) throw new ProveError(`${view} must read one bucket`)
  return slot
}

/** Whether one of these ways of dealing with money was gone, whole and in its order, under its condition. */
function oneOf(ending: Ending, ways: readonly (readonly [when: Term, expected: readonly Expected[]])[]): Term {
  return all(any(...ways.map(([when, expected]) => all(when, calls(ending, MONEY, expected)))), onlyWrites(ending))
}

function credits(slot: Term, amount: Term, networkAmount: Term = ZERO): Expected {
  return { name: ADD, args: [slot, amount, networkAmount] }
}

/** A claim: what is taken out of a bucket that holds nothing for the network. */
function paysOut(subject: Subject, { name, args, slot, to }: Claim): ReturnType<Obligation['claim']> {
  const endings = subject.run(name, args, { cut: CUT })
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const amount = firstCall(ending, EMPTY)?.results[0] ?? ZERO
      const emptied = { name: EMPTY, args: [slot] }
      return all(
        eq(nth(ending.values, 0), amount),
        oneOf(ending, [
          [eq(amount, ZERO), [emptied]],
          [not(eq(amount, ZERO)), [emptied, { name: TRANSFER, args: [undefined, to, amount] }]],
        ]),
      )
    }),
    possible: possible(endings, (ending) => (effects(ending, TRANSFER).length > 0 ? TRUE : FALSE)),
  }
}

interface Claim {
  readonly name: string
  readonly args: readonly Term[]
  readonly slot: Term
  readonly to: Term
}

function collects(subject: Subject, count: bigint): ReturnType<Obligation['claim']> {
  const network = slotOf(subject, 'Payouts.networkCredit')
  const nodes = Array.from({ length: Number(count) }, (_, index) =>
    unknown('calldata', word(NODES_AT + BigInt(index) * 0x20n)),
  )
  const slots = nodes.map((node) => slotOf(subject, 'Payouts.credits', node))
  const endings = subject.run('Payouts.collectNetwork', [word(NODES_AT), word(count)], { cut: CUT })
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      const sum = effects(ending, EMPTY_NETWORK)
        .map(({ results }) => nth(results, 0))
        .reduce(add, ZERO)
      const emptied = slots.map((slot) => ({ name: EMPTY_NETWORK, args: [slot] }))
      return all(eq(nth(ending.values, 0), sum), oneOf(ending, [[TRUE, [...emptied, credits(network, sum)]]]))
    }),
    possible: possible(endings),
  }
}

const STEPS: readonly Obligation[] = [
  {
    name: 'Payouts._credit',
    guarantees: 'E1 E7',
    says: "each payee is credited its share, whole, once, and nothing else is: the network's share at the node, or where there is none, at the network",
    encoding: 'bits',
    claim: (subject) => {
      const endings = subject.run('Payouts._credit', [TERMS, POINTER], { memory: MEMORY, cut: CUT })
      const network = credits(slotOf(subject, 'Payouts.networkCredit'), shares.network)
      const node = credits(slotOf(subject, 'Payouts.credits', terms.node), shares.node, shares.network)
      const others = [
        credits(slotOf(subject, 'Payouts.credits', terms.facilitator), shares.facilitator),
        credits(slotOf(subject, 'Payouts.royalties', terms.modelId), shares.royalty),
      ]
      const routed = eq(terms.node, ZERO)
      const noFirst = all(eq(shares.node, ZERO), eq(shares.network, ZERO))
      const noOthers = all(eq(shares.facilitator, ZERO), eq(shares.royalty, ZERO))
      // A routed order's nodes were paid one by one: `addSlice` leaves nothing for the node in the sum.
      const assumed = all(cleanTerms, any(not(routed), eq(shares.node, ZERO)))
      const wrong = violation(endings, (ending) => {
        if (ending.kind === 'revert') return FALSE
        return oneOf(ending, [
          [all(noFirst, noOthers), []],
          [all(noFirst, not(noOthers)), others],
          [all(not(noFirst), routed, noOthers), [network]],
          [all(not(noFirst), routed, not(noOthers)), [network, ...others]],
          [all(not(noFirst), not(routed), noOthers), [node]],
          [all(not(noFirst), not(routed), not(noOthers)), [node, ...others]],
        ])
      })
      return { never: all(assumed, wrong), possible: all(assumed, routed, not(noFirst), possible(endings)) }
    },
  },
  {
    name: 'Payouts._transferOrCredit',
    guarantees: 'E1 E6 E7',
    says: "an amount leaves to its account, or becomes the account's credit where the token refuses: one of the two, whole",
    encoding: 'bits',
    claim: (subject) => {
      const [account, amount] = [variable('account', 160), variable('amount', 128)]
      const endings = subject.run('Payouts._transferOrCredit', [variable('id'), account, amount], { cut: CUT })
      const tried = { name: TRY_TRANSFER, args: [undefined, account, amount] }
      const credited = credits(slotOf(subject, 'Payouts.credits', account), amount)
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return FALSE
          const success = isTrue(firstCall(ending, TRY_TRANSFER)?.results[0] ?? ZERO)
          return oneOf(ending, [
            [eq(amount, ZERO), []],
            [all(not(eq(amount, ZERO)), success), [tried]],
            [all(not(eq(amount, ZERO)), not(success)), [tried, credited]],
          ])
        }),
        possible: possible(endings, (ending) => (effects(ending, ADD).length > 0 ? TRUE : FALSE)),
      }
    },
  },
  {
    name: 'Payouts._payOut',
    guarantees: 'E1 E5',
    says: "a claim pays out exactly the account's own part of its bucket, and hands the network's part on, whole",
    encoding: 'bits',
    claim: (subject) => {
      const [account, to] = [variable('account', 160), variable('to', 160)]
      const endings = subject.run('Payouts._payOut', [account, to], { cut: CUT })
      const emptied = { name: EMPTY, args: [slotOf(subject, 'Payouts.credits', account)] }
      const network = slotOf(subject, 'Payouts.networkCredit')
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
          const [amount = ZERO, networkAmount = ZERO] = firstCall(ending, EMPTY)?.results ?? []
          const handedOn = credits(network, networkAmount)
          const paid = { name: TRANSFER, args: [undefined, to, amount] }
          const [noAmount, noNetwork] = [eq(amount, ZERO), eq(networkAmount, ZERO)]
          return all(
            eq(nth(ending.values, 0), amount),
            oneOf(ending, [
              [all(noAmount, noNetwork), [emptied]],
              [all(noAmount, not(noNetwork)), [emptied, handedOn]],
              [not(noAmount), [emptied, handedOn, paid]],
            ]),
          )
        }),
        possible: possible(endings, (ending) => (effects(ending, TRANSFER).length > 0 ? TRUE : FALSE)),
      }
    },
  },
  {
    name: 'Payouts.claimRoyalty',
    guarantees: 'E1 E5',
    says: 'a royalty claim pays out exactly what it takes out of its bucket',
    encoding: 'bits',
    claim: (subject) => {
      const [modelId, to] = [variable('modelId'), variable('to', 160)]
      const slot = slotOf(subject, 'Payouts.royalties', modelId)
      return paysOut(subject, { name: 'Payouts.claimRoyalty', args: [modelId, to], slot, to })
    },
  },
  {
    name: 'Payouts.claimNetwork',
    guarantees: 'E1 E5',
    says: "a claim of the network's share pays out exactly what it takes out of its bucket",
    encoding: 'bits',
    claim: (subject) => {
      const to = variable('to', 160)
      const slot = slotOf(subject, 'Payouts.networkCredit')
      return paysOut(subject, { name: 'Payouts.claimNetwork', args: [to], slot, to })
    },
  },
  ...[0n, 1n, 2n].map((count) => ({
    name: `Payouts.collectNetwork.${String(count)}`,
    guarantees: 'E1 E5 E7',
    says: `collecting from ${String(count)} nodes moves the network's part of each bucket, whole, to the network's own, and pays nobody`,
    encoding: 'bits' as const,
    claim: (subject: Subject) => collects(subject, count),
  })),
]

export const PAYOUTS: readonly Obligation[] = [...CREDITS, ...STEPS]
