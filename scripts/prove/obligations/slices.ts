import { type Cuts, effects, isPanic, nth, possible, type Returned, type Subject, violation } from '../subject.js'
import type { Ending } from '../yul/execute.js'
import {
  add,
  all,
  any,
  atMost,
  bitAnd,
  bitOr,
  bitXor,
  eq,
  FALSE,
  isTrue,
  lessThan,
  mul,
  not,
  ONE,
  shiftLeft,
  shiftRight,
  sub,
  type Term,
  TRUE,
  unknown,
  variable,
  word,
  ZERO,
} from '../yul/terms.js'
import {
  before,
  calls,
  fieldsOf,
  firstCall,
  MAX_96,
  now,
  onlyWrites,
  order,
  ORDER,
  slotsOf,
  terms,
  TERMS,
} from './common.js'
import type { Obligation } from './types.js'

const ALLOCATION_AT = 0x3000n
const ALLOCATION = word(ALLOCATION_AT)
const ROWS_AT = 0x4000n
const ROW_COUNTS = [0n, 1n, 2n] as const
const KNOWN = word(1n << 255n)

/** The members of the allocation in calldata. */
const allocation = {
  count: unknown('calldata', word(ALLOCATION_AT + 0x20n)),
  cap: unknown('calldata', word(ALLOCATION_AT + 0x40n)),
}

interface RoutedFields {
  readonly reserved: Term
  readonly released: Term
  readonly allocations: Term
}

function routedOf(subject: Subject, state_: Term): RoutedFields {
  const read = (name: string): Term => subject.value(`RoutedStateLib.${name}`, state_)
  // The contract never reads how many allocations there were.
  return { reserved: read('reserved'), released: read('released'), allocations: shiftRight(state_, word(192n)) }
}

/** What a routed order always keeps to: `RoutedOrder` proves it over any sequence of steps. */
function withinAmount({ reserved, released }: RoutedFields, amount: Term): Term {
  return atMost(add(reserved, released), amount)
}

const state = variable('routed')

const ROUTED_STATE: readonly Obligation[] = [
  {
    name: 'RoutedState.free',
    guarantees: 'E2 E4',
    says: 'what is free is the amount less what is reserved and released; only where those exceed the amount does it fail',
    encoding: 'integers',
    claim: (subject) => {
      const amount = variable('amount', 96)
      const old = routedOf(subject, state)
      const endings = subject.run('RoutedStateLib.free', [state, amount])
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return not(withinAmount(old, amount))
          return eq(add(add(nth(ending.values, 0), old.reserved), old.released), amount)
        }),
        possible: possible(endings),
      }
    },
  },
  {
    name: 'RoutedState.reserve',
    guarantees: 'E2 E4',
    says: 'reserving a sum that is free raises what is reserved by it, counts the allocation, and changes nothing else',
    encoding: 'integers',
    claim: (subject) => {
      const sum = variable('sum', 96)
      const old = routedOf(subject, state)
      const after = routedOf(subject, subject.value('RoutedStateLib.reserve', state, sum))
      const assumed = all(
        atMost(add(old.reserved, sum), MAX_96), // which is an amount at most
        lessThan(old.allocations, word((1n << 64n) - 1n)),
      )
      const right = all(
        eq(after.reserved, add(old.reserved, sum)),
        eq(after.released, old.released),
        eq(after.allocations, add(old.allocations, ONE)),
      )
      return { never: all(assumed, not(right)), possible: all(assumed, right, lessThan(ZERO, sum)) }
    },
  },
  {
    name: 'RoutedState.settle',
    guarantees: 'E2 E4',
    says: 'settling a slice gives back what was reserved for it and releases its fee, and changes nothing else; the two together do not grow',
    encoding: 'integers',
    claim: (subject) => {
      const [cap, fee, amount] = [variable('cap', 96), variable('fee', 96), variable('amount', 96)]
      const old = routedOf(subject, state)
      const after = routedOf(subject, subject.value('RoutedStateLib.settle', state, cap, fee))
      const assumed = all(atMost(cap, old.reserved), atMost(fee, cap), withinAmount(old, amount))
      const right = all(
        eq(after.reserved, sub(old.reserved, cap)),
        eq(after.released, add(old.released, fee)),
        eq(after.allocations, old.allocations),
        withinAmount(after, amount),
      )
      return { never: all(assumed, not(right)), possible: all(assumed, right, lessThan(ZERO, fee)) }
    },
  },
]

/** The slot of an allocation's bitmap: the one that its view reads. */
function bitmapSlot(ending: Ending, id: Term): Term {
  return nth(
    ending.state.written().flatMap(({ key }) => (key.op === 'unknown' && key.args[0] === id ? [key] : [])),
    0,
  )
}

const ALLOCATE: Obligation = {
  name: 'Slices.allocate',
  guarantees: 'E1 E2 E4 E5',
  says: "an allocation reserves, once, count times cap of what an open routed order has free, before claimBy and at the facilitator's word, with one bit for each slice; an allocation that is known moves nothing",
  encoding: 'bits',
  claim: (subject) => {
    const endings = subject.run(
      'Slices.allocate',
      [TERMS, ORDER, ALLOCATION, word(0x8000n), variable('signatureLength', 64)],
      {
        cut: {
          'Slices._requireRouted': [256],
          'SliceHash.allocation': [256],
          'EIP712._hashTypedDataV4': [256],
          'Slices._requireFacilitator': [],
          'RoutedStateLib.free': [256],
        },
      },
    )
    const count = bitAnd(allocation.count, word(0xffn))
    return {
      never: violation(endings, (ending) => {
        const id = firstCall(ending, 'Slices._requireRouted')?.results[0] ?? ZERO
        const slots = slotsOf(subject, id)
        const fields = fieldsOf(subject, before(slots.order))
        if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
        const allocated = isTrue(nth(ending.values, 0))
        if (ending.state.written().length === 0) return not(allocated)
        const allocationId = firstCall(ending, 'SliceHash.allocation')?.results[0] ?? ZERO
        const bitmap = bitmapSlot(ending, allocationId)
        const sum = mul(count, allocation.cap)
        const [free] = effects(ending, 'RoutedStateLib.free')
        if (free === undefined) return FALSE
        return all(
          allocated,
          eq(before(bitmap), ZERO),
          fields.known,
          not(fields.closed),
          lessThan(now, order.claimBy),
          not(eq(sum, ZERO)),
          eq(nth(free.args, 0), before(slots.routed)),
          eq(nth(free.args, 1), fields.amount),
          atMost(sum, nth(free.results, 0)),
          calls(
            ending,
            ['Slices._requireFacilitator'],
            [{ name: 'Slices._requireFacilitator', args: [terms.facilitator] }],
          ),
          eq(
            ending.state.read('storage', slots.routed),
            subject.value('RoutedStateLib.reserve', before(slots.routed), sum),
          ),
          eq(ending.state.read('storage', bitmap), bitOr(KNOWN, sub(shiftLeft(ONE, count), ONE))),
          onlyWrites(ending, slots.routed, bitmap),
        )
      }),
      possible: possible(endings, (ending) => (ending.state.written().length > 0 ? TRUE : FALSE)),
    }
  },
}

/** The verifier's question, whose encoding moves no money. */
const QUESTION: Cuts = {
  'Evidence.mark': [256],
  'Evidence.prepare': [256],
  'Evidence.writeSlice': [256],
  'RowReader.settlementHash': [256],
  'OrderHash.settlementBatchOfOne': [256],
  'EIP712._hashTypedDataV4': [256],
  'Evidence.accepted': [1],
  'Evidence.reset': [],
}

const MONEY = ['Slices._payNode', 'SharesLib.divide', 'Payouts._credit']

function settlesSlices(subject: Subject, count: bigint): ReturnType<Obligation['claim']> {
  const args = [
    TERMS,
    ORDER,
    ALLOCATION,
    word(ROWS_AT),
    word(count),
    word(0x9000n),
    variable('proofLength', 64),
    variable('gasPerSlice'),
  ]
  const endings = subject.run('Slices.settleSlices', args, {
    cut: {
      ...QUESTION,
      'Slices._requireRouted': [256],
      'SliceHash.allocation': [256],
      'SliceHash.areAllocated': [1],
      'SliceHash.slice': [256],
      'SharesLib.addSlice': [96],
      'SharesLib.divide': [],
      'Slices._payNode': [],
      'Payouts._credit': [],
    },
    watch: ['RoutedStateLib.settle', 'OrderStateLib.isClosed'],
  })
  return {
    never: violation(endings, (ending) => {
      if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
      return settledRight(subject, ending)
    }),
    possible: possible(endings, (ending) =>
      BigInt(effects(ending, 'RoutedStateLib.settle').length) === count ? TRUE : FALSE,
    ),
  }
}

function settledRight(subject: Subject, ending: Returned): Term {
  const id = firstCall(ending, 'Slices._requireRouted')?.results[0] ?? ZERO
  const slots = slotsOf(subject, id)
  const fields = fieldsOf(subject, before(slots.order))
  const settled = effects(ending, 'RoutedStateLib.settle')
  if (settled.length === 0) return all(eq(nth(ending.values, 0), ZERO), onlyWrites(ending), calls(ending, MONEY, []))

  const allocationId = firstCall(ending, 'SliceHash.allocation')?.results[0] ?? ZERO
  const bitmap = bitmapSlot(ending, allocationId)
  // Each row that is settled hashes its slice's id just before, of the allocation and its place.
  const made = ending.state.effects
  const hashes = made.filter(
    (each, at) =>
      each.name === 'SliceHash.slice' &&
      made.slice(at + 1).find((next) => ['SliceHash.slice', 'RoutedStateLib.settle'].includes(next.name))?.name ===
        'RoutedStateLib.settle',
  )
  const places = hashes.map(({ args }) => nth(args, 1))
  const accepted = effects(ending, 'Evidence.accepted')
  const parts = effects(ending, 'SharesLib.addSlice')
  if (places.length !== settled.length || parts.length !== settled.length) return FALSE

  let [unsettled, routed] = [before(bitmap), before(slots.routed)]
  const right: Term[] = []
  for (const [index, place] of places.entries()) {
    const [cap, fee] = [nth(nth(settled, index).args, 1), nth(nth(settled, index).args, 2)]
    right.push(
      eq(bitAnd(shiftRight(unsettled, place), ONE), ONE),
      atMost(fee, cap),
      eq(cap, bitAnd(allocation.cap, MAX_96)),
      eq(nth(nth(settled, index).args, 0), routed),
      eq(nth(nth(parts, index).args, 1), fee),
      any(...accepted.map(({ results }) => isTrue(nth(results, 0)))),
    )
    unsettled = bitXor(unsettled, shiftLeft(ONE, place))
    routed = subject.value('RoutedStateLib.settle', routed, cap, fee)
  }
  const shares = nth(nth(parts, 0).args, 0)
  return all(
    ...right,
    isTrue(firstCall(ending, 'SliceHash.areAllocated')?.results[0] ?? ZERO),
    not(eq(before(bitmap), ZERO)),
    not(fields.closed),
    lessThan(now, order.claimBy),
    eq(nth(ending.values, 0), word(BigInt(settled.length))),
    eq(ending.state.read('storage', bitmap), unsettled),
    eq(ending.state.read('storage', slots.routed), routed),
    onlyWrites(ending, slots.routed, bitmap),
    calls(ending, MONEY, [
      ...parts.map(({ results }) => ({
        name: 'Slices._payNode',
        args: [id, allocationId, undefined, nth(results, 0)],
      })),
      { name: 'SharesLib.divide', args: [shares, terms.facilitatorBps] },
      { name: 'Payouts._credit', args: [TERMS, shares] },
    ]),
    eq(ending.state.load(add(shares, word(0xa0n))), subject.value('OrderStateLib.snapshot', before(slots.order))),
    ...[0x0n, 0x20n, 0x40n, 0x60n, 0x80n].map((offset) => eq(ending.state.load(add(shares, word(offset))), ZERO)),
  )
}

export const SLICES: readonly Obligation[] = [
  ...ROUTED_STATE,
  ALLOCATE,
  ...ROW_COUNTS.map((count) => ({
    name: `Slices.settleSlices.${String(count)}`,
    guarantees: 'E1 E2 E3 E4 E5 E7',
    says: `of ${String(count)} slices those are settled that are reserved, not settled yet, within their cap and accepted, before claimBy, each once; its bit and what was reserved for it fall, its fee is released, its node is paid, and all other shares are divided and credited once`,
    encoding: 'bits' as const,
    claim: (subject: Subject) => settlesSlices(subject, count),
  })),
  {
    name: 'Slices._payNode',
    guarantees: 'E1 E7',
    says: "a slice's node is paid its part of the fee, once",
    encoding: 'bits',
    claim: (subject) => {
      const [at, nodeFee] = [word(ROWS_AT), variable('nodeFee', 96)]
      const node = unknown('calldata', add(at, word(0x20n)))
      const endings = subject.run('Slices._payNode', [variable('id'), variable('allocationId'), at, nodeFee], {
        cut: { 'SliceHash.slice': [256], 'Payouts._transferOrCredit': [] },
      })
      const paid = [{ name: 'Payouts._transferOrCredit', args: [undefined, node, nodeFee] }]
      return {
        never: violation(endings, (ending) => {
          if (ending.kind === 'revert') return isPanic(ending) ? FALSE : TRUE
          return all(calls(ending, ['Payouts._transferOrCredit'], paid), onlyWrites(ending))
        }),
        possible: possible(endings),
      }
    },
  },
]
