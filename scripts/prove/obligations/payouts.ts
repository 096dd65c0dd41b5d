import { effects, isPanic, nth, possible, type RunOptions, type Subject, violation } from '../subject.js'
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
  not,
  sub,
  type Term,
  TRUE,
  unknown,
  variable,
  word,
  ZERO,
} from '../yul/terms.js'
import type { Obligation } from './types.js'

const SHARES_AT = 0x20000n
const POINTER = word(SHARES_AT)
const TERMS_AT = 0x1000n
const TERMS = word(TERMS_AT)
const TRANSFER = 'SafeERC20.safeTransfer'
const TRY_TRANSFER = 'SafeERC20.trySafeTransfer'

/** What a bucket holds at most, plus one: credits are backed by tokens, and no supply comes near 2^128 base units. */
const SUPPLY = word(1n << 128n)

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

const terms = {
  node: unknown('calldata', word(TERMS_AT)),
  facilitator: unknown('calldata', word(TERMS_AT + 0x20n)),
  modelId: unknown('calldata', word(TERMS_AT + 0xa0n)),
}

/** `OrderHash.terms` refuses terms with bits beyond a member's type. */
const cleanTerms = all(isAddress(terms.node), isAddress(terms.facilitator))

function isAddress(word_: Term): Term {
  return atMost(word_, word((1n << 160n) - 1n))
}

/** What a bucket's word is worth. `Credits.value` is proved to read the same. */
function worth(plusOne: Term): Term {
  return ite(eq(plusOne, ZERO), ZERO, sub(plusOne, word(1n)))
}

/** A bucket before a call, by its slot. */
function held(slot: Term): Term {
  return worth(unknown('storage', slot))
}

/** A bucket after a call. */
function holds(ending: Ending, slot: Term): Term {
  return worth(ending.state.read('storage', slot))
}

function withinSupply(...slots: readonly Term[]): Term {
  return all(...slots.map((slot) => atMost(unknown('storage', slot), SUPPLY)))
}

/** The slot that a view of the contract reads, so that nothing here repeats the layout of storage. */
function slotOf(subject: Subject, view: string, ...key: readonly Term[]): Term {
  const [ending] = subject.run(view, key, { cut: { 'Credits.value': 1 } })
  return ending === undefined ? ZERO : nth(nth(effects(ending, 'Credits.value'), 0), 0)
}

function onlyWrites(ending: Ending, ...slots: readonly Term[]): Term {
  return all(...ending.state.written().map(({ key }) => any(...slots.map((slot) => eq(slot, key)))))
}

/** Whether exactly this left: one transfer of the whole amount, or none where it is zero. */
function transfers(ending: Ending, to: Term, amount: Term): Term {
  const made = effects(ending, TRANSFER)
  if (made.length === 0) return eq(amount, ZERO)
  if (made.length > 1) return FALSE
  const args = nth(made, 0)
  return all(not(eq(amount, ZERO)), eq(nth(args, 1), to), eq(nth(args, 2), amount))
}

const bucket = variable('bucket')

const CREDITS: readonly Obligation[] = [
  {
    name: 'Credits.value',
    guarantees: 'E1',
    says: 'a bucket is worth its word less one, and an untouched one nothing; reading never fails',
    encoding: 'integers',
    claim: (subject) => {
      const endings = subject.run('Credits.value', [bucket])
      return {
        never: violation(endings, (ending) =>
          ending.kind === 'return' ? eq(nth(ending.values, 0), held(bucket)) : FALSE,
        ),
        possible: possible(endings),
      }
    },
  },
  {
    name: 'Credits.add',
    guarantees: 'E1 E7',
    says: 'a credit raises its own bucket by its amount, whatever the bucket went through before, and writes nothing else',
    encoding: 'integers',
    claim: (subject) => {
      const amount = variable('amount', 128)
      const endings = subject.run('Credits.add', [bucket, amount])
      const wrong = violation(endings, (ending) =>
        ending.kind === 'return'
          ? all(eq(holds(ending, bucket), add(held(bucket), amount)), onlyWrites(ending, bucket))
          : FALSE,
      )
      return { never: all(withinSupply(bucket), wrong), possible: all(withinSupply(bucket), possible(endings)) }
    },
  },
  {
    name: 'Credits.empty',
    guarantees: 'E1 E5',
    says: 'emptying a bucket gives what it is worth and leaves nothing in it',
    encoding: 'integers',
    claim: (subject) => {
      const endings = subject.run('Credits.empty', [bucket])
      return {
        never: violation(endings, (ending) =>
          ending.kind === 'return'
            ? all(eq(nth(ending.values, 0), held(bucket)), eq(holds(ending, bucket), ZERO), onlyWrites(ending, bucket))
            : FALSE,
        ),
        possible: possible(endings),
      }
    },
  },
]

const STEPS: readonly Obligation[] = [
  {
    name: 'Payouts._credit',
    guarantees: 'E1 E7',
    says: 'each payee is credited its share, all of it and nothing else, even where node and facilitator are one; with a claim the node is paid its share and its credit, and nobody else is paid',
    encoding: 'integers',
    claim: (subject) => {
      const claim = variable('claim', 1)
      const node = slotOf(subject, 'Payouts.credits', terms.node)
      const facilitator = slotOf(subject, 'Payouts.credits', terms.facilitator)
      const royalty = slotOf(subject, 'Payouts.royalties', terms.modelId)
      const network = slotOf(subject, 'Payouts.networkCredit')
      const endings = subject.run('Payouts._credit', [TERMS, POINTER, claim], {
        memory: MEMORY,
        cut: { [TRANSFER]: 0 },
      })
      const assumed = all(cleanTerms, withinSupply(node, facilitator, royalty, network))
      const both = eq(terms.node, terms.facilitator)
      const owed = add(add(held(node), shares.node), ite(both, shares.facilitator, ZERO))
      const claimed = isTrue(claim)
      return {
        never: all(
          assumed,
          violation(endings, (ending) => {
            if (ending.kind === 'revert') return FALSE
            return all(
              eq(holds(ending, node), ite(claimed, ZERO, owed)),
              implies(not(both), eq(holds(ending, facilitator), add(held(facilitator), shares.facilitator))),
              eq(holds(ending, royalty), add(held(royalty), shares.royalty)),
              eq(holds(ending, network), add(held(network), shares.network)),
              onlyWrites(ending, node, facilitator, royalty, network),
              transfers(ending, terms.node, ite(claimed, owed, ZERO)),
            )
          }),
        ),
        possible: all(assumed, claimed, possible(endings)),
      }
    },
  },
  {
    name: 'Payouts._refund',
    guarantees: 'E1 E6 E7',
    says: "a refund leaves to the payer, or becomes the payer's credit where the token refuses: one of the two, whole",
    encoding: 'integers',
    claim: (subject) => {
      const payer = variable('payer', 160)
      const refund = variable('refund', 96)
      const slot = slotOf(subject, 'Payouts.credits', payer)
      const endings = subject.run('Payouts._refund', [variable('id'), payer, refund], { cut: { [TRY_TRANSFER]: 1 } })
      return {
        never: all(
          withinSupply(slot),
          violation(endings, (ending) => {
            if (ending.kind === 'revert') return FALSE
            const credited = sub(holds(ending, slot), held(slot))
            const tried = effects(ending, TRY_TRANSFER)
            if (tried.length === 0) return all(eq(refund, ZERO), eq(credited, ZERO), onlyWrites(ending))
            if (tried.length > 1) return FALSE
            const args = nth(tried, 0)
            const success = isTrue(unknown(`${TRY_TRANSFER}#0`, ZERO))
            return all(
              eq(nth(args, 1), payer),
              eq(nth(args, 2), refund),
              eq(credited, ite(success, ZERO, refund)),
              onlyWrites(ending, slot),
            )
          }),
        ),
        possible: all(
          withinSupply(slot),
          possible(endings, (ending) => (onlyWrites(ending) === TRUE ? FALSE : TRUE)),
        ),
      }
    },
  },
  {
    name: 'Payouts._payOut',
    guarantees: 'E1 E5',
    says: 'a claim pays out exactly what it takes out of its bucket',
    encoding: 'integers',
    claim: (subject) => {
      const [account, to] = [variable('account', 160), variable('to', 160)]
      const slot = slotOf(subject, 'Payouts.credits', account)
      const endings = subject.run('Payouts._payOut', [account, to], { cut: { [TRANSFER]: 0 } })
      return { never: violation(endings, paysOut(slot, to)), possible: possible(endings, paidSomething) }
    },
  },
  {
    name: 'Payouts.claimRoyalty',
    guarantees: 'E1 E5',
    says: 'a royalty claim pays out exactly what it takes out of its bucket',
    encoding: 'integers',
    claim: (subject) => {
      const [modelId, to] = [variable('modelId'), variable('to', 160)]
      const slot = slotOf(subject, 'Payouts.royalties', modelId)
      const endings = subject.run('Payouts.claimRoyalty', [modelId, to], { cut: { [TRANSFER]: 0 } })
      return { never: violation(endings, paysOut(slot, to)), possible: possible(endings, paidSomething) }
    },
  },
  {
    name: 'Payouts.claimNetwork',
    guarantees: 'E1 E5',
    says: "a claim of the network's share pays out exactly what it takes out of its bucket",
    encoding: 'integers',
    claim: (subject) => {
      const to = variable('to', 160)
      const slot = slotOf(subject, 'Payouts.networkCredit')
      const endings = subject.run('Payouts.claimNetwork', [to], { cut: { [TRANSFER]: 0 } })
      return { never: violation(endings, paysOut(slot, to)), possible: possible(endings, paidSomething) }
    },
  },
]

function paysOut(slot: Term, to: Term): (ending: Ending) => Term {
  return (ending) => {
    if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
    return all(
      eq(nth(ending.values, 0), held(slot)),
      eq(holds(ending, slot), ZERO),
      onlyWrites(ending, slot),
      transfers(ending, to, held(slot)),
    )
  }
}

function paidSomething(ending: Ending): Term {
  return effects(ending, TRANSFER).length > 0 ? TRUE : FALSE
}

export const PAYOUTS: readonly Obligation[] = [...CREDITS, ...STEPS]
