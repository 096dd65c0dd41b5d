import fc from 'fast-check'

/** Which terms: a node with everybody to share with, a node alone, routed, and routed with a key that the payer pinned. */
export const TERMS = ['shared', 'alone', 'routed', 'pinned'] as const
export type TermsName = (typeof TERMS)[number]

export interface OrderGiven {
  readonly terms: TermsName
  readonly payer: number
  readonly amount: bigint
  readonly days: number
  readonly single: boolean
}

export interface RowGiven {
  readonly pick: number
  /** Any order, and not one of the call's terms. */
  readonly stray: boolean
  readonly permille: number
  readonly close: boolean
  readonly receiptCount: bigint
}

export interface SliceStep {
  readonly index: number
  readonly permille: number
  readonly signed: boolean
}

/** One call, by random numbers that are cut down to what there is when it is made. */
export type ModelStep =
  | ({ readonly kind: 'open' | 'openFunded' | 'openVia' } & OrderGiven)
  | {
      readonly kind: 'openBatch' | 'openBatchVia'
      readonly terms: TermsName
      readonly days: number
      readonly orders: readonly { amount: bigint; single: boolean; fails: boolean; again: boolean }[]
      readonly short: boolean
    }
  | {
      readonly kind: 'settle' | 'settleWithClaim'
      readonly terms: TermsName
      readonly rows: readonly RowGiven[]
      readonly signed: boolean
    }
  | {
      readonly kind: 'allocate'
      readonly pick: number
      /** Any order, and not a routed one. */
      readonly stray: boolean
      /** Each slice's node, and whether its leaf has the pinned key. */
      readonly holders: readonly { readonly node: number; readonly pinned: boolean }[]
      /** Of what is free, for all slices together; over a thousand is too much. */
      readonly permille: number
      readonly by: 'facilitator' | 'relayed' | 'stranger'
    }
  | { readonly kind: 'allocateAgain'; readonly pick: number }
  | {
      readonly kind: 'settleSlices'
      readonly pick: number
      /** Any allocation, and not one that was made. */
      readonly stray: boolean
      readonly slices: readonly SliceStep[]
      readonly proven: boolean
    }
  | { readonly kind: 'release'; readonly pick: number; readonly right: boolean }
  | { readonly kind: 'reclaim' | 'reopen'; readonly pick: number }
  | { readonly kind: 'claim' | 'claimTo'; readonly who: number; readonly to: number }
  | { readonly kind: 'collectNetwork'; readonly nodes: readonly number[] }
  | { readonly kind: 'claimRoyalty' | 'claimNetwork' | 'sync' }
  | { readonly kind: 'wait'; readonly days: number }
  | { readonly kind: 'waitFor'; readonly pick: number; readonly offset: number }
  | { readonly kind: 'reprice'; readonly networkBps: number; readonly royaltyBps: number }
  | { readonly kind: 'refuse'; readonly who: number }

const amount = fc.oneof(fc.bigInt(1n, 40n), fc.bigInt(10n ** 4n, 10n ** 20n), fc.bigInt(10n ** 4n, 10n ** 20n))
const pick = fc.nat(30)
const who = fc.nat(15)
const days = fc.integer({ min: 1, max: 60 })
const permille = fc.integer({ min: 0, max: 1_050 })
const mostly = fc.oneof({ weight: 6, arbitrary: fc.constant(true) }, { weight: 1, arbitrary: fc.constant(false) })
const seldom = mostly.map((yes) => !yes)
const terms = fc.constantFrom(...TERMS)
const single = seldom

const opening: fc.Arbitrary<ModelStep> = fc.record({
  kind: fc.constantFrom('open' as const, 'openFunded' as const, 'openVia' as const),
  terms,
  payer: fc.nat(1),
  amount,
  days,
  single,
})

const batch: fc.Arbitrary<ModelStep> = fc.record({
  kind: fc.constantFrom('openBatch' as const, 'openBatchVia' as const),
  terms,
  days,
  orders: fc.array(fc.record({ amount, single, fails: seldom, again: seldom }), { maxLength: 4 }),
  short: seldom,
})

const settling: fc.Arbitrary<ModelStep> = fc.record({
  kind: fc.constantFrom('settle' as const, 'settleWithClaim' as const),
  terms: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom('shared' as const, 'alone' as const) },
    { weight: 1, arbitrary: terms },
  ),
  rows: fc.array(fc.record({ pick, stray: seldom, permille, close: seldom, receiptCount: fc.bigInt(0n, 2n) }), {
    maxLength: 5,
  }),
  signed: mostly,
})

const allocating: fc.Arbitrary<ModelStep> = fc.record({
  kind: fc.constant('allocate' as const),
  pick,
  stray: seldom,
  holders: fc.array(fc.record({ node: fc.nat(5), pinned: fc.boolean() }), { minLength: 1, maxLength: 9 }),
  permille: fc.oneof(permille, fc.constant(300), fc.constant(1_000)),
  by: fc.constantFrom('facilitator' as const, 'facilitator' as const, 'relayed' as const, 'stranger' as const),
})

const slicing: fc.Arbitrary<ModelStep> = fc.record({
  kind: fc.constant('settleSlices' as const),
  pick,
  stray: seldom,
  slices: fc.uniqueArray(fc.record({ index: fc.nat(8), permille, signed: mostly }), {
    maxLength: 6,
    selector: ({ index }) => index,
  }),
  proven: mostly,
})

const ending: fc.Arbitrary<ModelStep> = fc.oneof(
  fc.record({ kind: fc.constant('release' as const), pick, right: mostly }),
  fc.record({ kind: fc.constantFrom('reclaim' as const, 'reopen' as const), pick }),
  fc.record({ kind: fc.constant('allocateAgain' as const), pick }),
)

const claiming: fc.Arbitrary<ModelStep> = fc.oneof(
  fc.record({ kind: fc.constantFrom('claim' as const, 'claimTo' as const), who, to: who }),
  fc.record({ kind: fc.constant('collectNetwork' as const), nodes: fc.array(who, { maxLength: 4 }) }),
  fc.record({ kind: fc.constantFrom('claimRoyalty' as const, 'claimNetwork' as const, 'sync' as const) }),
)

const world: fc.Arbitrary<ModelStep> = fc.oneof(
  fc.record({ kind: fc.constant('wait' as const), days: fc.integer({ min: 1, max: 4 }) }),
  fc.record({ kind: fc.constant('waitFor' as const), pick, offset: fc.integer({ min: -1, max: 1 }) }),
  fc.record({
    kind: fc.constant('reprice' as const),
    networkBps: fc.integer({ min: 0, max: 1_000 }),
    royaltyBps: fc.integer({ min: 0, max: 2_000 }),
  }),
  fc.record({ kind: fc.constant('refuse' as const), who }),
)

export const modelStep: fc.Arbitrary<ModelStep> = fc.oneof(
  { weight: 4, arbitrary: opening },
  { weight: 2, arbitrary: batch },
  { weight: 5, arbitrary: settling },
  { weight: 5, arbitrary: allocating },
  { weight: 8, arbitrary: slicing },
  { weight: 3, arbitrary: ending },
  { weight: 3, arbitrary: claiming },
  { weight: 3, arbitrary: world },
)
