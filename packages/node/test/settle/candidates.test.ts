import { EMPTY_TREE, termsHash } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { type Moment, candidateOf, groupsOf, isWorthwhile } from '../../src/settle/candidates.js'
import { DEFAULT_SETTLE_POLICY, type SettlePolicy } from '../../src/settle/policy.js'
import type { ClosingReason, StoredOrder } from '../../src/store/types.js'
import { TERMS, anOrder, hash } from '../support/books.js'

const NOW_SECONDS = 1_700_000_000
const NOW: Moment = { nowMs: NOW_SECONDS * 1000, chainSeconds: NOW_SECONDS }
const FAR = NOW_SECONDS + 86_400

function stored(overrides: Partial<StoredOrder> = {}, order: Parameters<typeof anOrder>[0] = {}): StoredOrder {
  return {
    ...anOrder({ claimBy: FAR, ...order }),
    termsHash: termsHash(TERMS),
    slice: undefined,
    voucher: undefined,
    networkBps: 500,
    royaltyBps: 0,
    chain: 'open',
    released: 0n,
    checkedAtMs: 0,
    closing: undefined,
    blocked: undefined,
    receiptCount: 1n,
    cumulativeFee: 100n,
    tree: EMPTY_TREE,
    activeAtMs: NOW.nowMs,
    unsettledSinceMs: NOW.nowMs,
    reserved: 0n,
    reservations: 0,
    inFlight: false,
    ...overrides,
  }
}

function policy(overrides: Partial<SettlePolicy> = {}): SettlePolicy {
  return { ...DEFAULT_SETTLE_POLICY, ...overrides }
}

describe('candidateOf', () => {
  it('counts what would be new, net of all shares', () => {
    expect(candidateOf(stored({ released: 40n }), policy(), NOW)).toMatchObject({ netFees: 57n, close: undefined })
  })

  it.each<[string, Partial<StoredOrder>]>([
    ['nothing new', { released: 100n }],
    ['in flight', { inFlight: true }],
    ['closed', { chain: 'closed' }],
    ['missing', { chain: 'missing' }],
    ['blocked', { blocked: 'overdrawn' }],
  ])('leaves out an order that is %s', (_, overrides) => {
    expect(candidateOf(stored(overrides), policy(), NOW)).toBeUndefined()
  })

  it.each([
    [-1, 'taken'],
    [0, 'left out'],
    [1, 'left out'],
  ])('stands at claimBy as the chain does: %i seconds over it', (over, expected) => {
    const candidate = candidateOf(stored({}, { claimBy: NOW_SECONDS - over }), policy(), NOW)
    expect(candidate === undefined ? 'left out' : 'taken').toBe(expected)
  })

  it.each([
    [601, undefined],
    [600, 'expiring'],
    [599, 'expiring'],
  ])('closes from its margin to claimBy on: %i seconds left of 600', (left, close) => {
    expect(candidateOf(stored({}, { claimBy: NOW_SECONDS + left }), policy(), NOW)?.close).toBe(close)
  })

  it.each([
    [899n, undefined],
    [900n, undefined],
    [901n, 'exhausted'],
  ])('closes an order that has less left than is useful: %d of 1,000 used, 100 useful', (cumulativeFee, close) => {
    expect(candidateOf(stored({ cumulativeFee }), policy({ minUsefulRest: 100n }), NOW)?.close).toBe(close)
  })

  it.each([
    [59_999, undefined],
    [60_000, 'idle'],
  ])('closes an idle order after its time: idle for %i ms of 60,000', (idleMs, close) => {
    const order = stored({ activeAtMs: NOW.nowMs - idleMs })
    expect(candidateOf(order, policy({ idleCloseSeconds: 60 }), NOW)?.close).toBe(close)
    expect(candidateOf(order, policy(), NOW)?.close).toBeUndefined()
  })

  it('takes an order for one request only to close it, and only once nothing runs on it', () => {
    const job = { requester: TERMS.node, requestHash: hash('pinned') }
    expect(candidateOf(stored({}, { job }), policy(), NOW)?.close).toBe('single')
    expect(candidateOf(stored({ reservations: 1 }, { job }), policy(), NOW)).toBeUndefined()
    expect(candidateOf(stored({ receiptCount: 0n, cumulativeFee: 0n }, { job }), policy(), NOW)).toBeUndefined()
  })
})

describe('isWorthwhile', () => {
  // One row: 83,000 gas. At a gas price of 1 and a coin of 1 OPG, 83,000 base units.
  function worth(netFees: bigint, overrides: Partial<{ isUrgent: boolean; close: ClosingReason }> = {}): boolean {
    const candidate = { order: stored(), close: undefined, netFees, isUrgent: false, ...overrides }
    return isWorthwhile({ candidates: [candidate] }, policy(), 1n)
  }

  it('goes once the fees are ten times the gas', () => {
    expect(worth(829_999n)).toBe(false)
    expect(worth(830_000n)).toBe(true)
  })

  it('goes for its gas alone where it is urgent, and never at a loss', () => {
    expect(worth(82_999n, { isUrgent: true })).toBe(false)
    expect(worth(83_000n, { isUrgent: true })).toBe(true)
    expect(worth(83_000n)).toBe(false)
    expect(worth(0n, { isUrgent: true, close: 'idle' })).toBe(false)
  })

  it.each(['requested', 'answered', 'failed'] as const)(
    'goes at any cost where the payer was promised it: %s',
    (close) => {
      expect(worth(0n, { close })).toBe(true)
    },
  )

  it('values gas in OPG as configured', () => {
    const candidate = { order: stored(), close: undefined, netFees: 829_999n, isUrgent: false }
    const cheap = policy({ opgPerWei: { numerator: 1n, denominator: 2n } })
    expect(isWorthwhile({ candidates: [candidate] }, cheap, 1n)).toBe(true)
  })

  it('is urgent once fees have waited for their time', () => {
    const waiting = (ms: number): boolean | undefined =>
      candidateOf(stored({ unsettledSinceMs: NOW.nowMs - ms }), policy({ maxAgeSeconds: 60 }), NOW)?.isUrgent
    expect([waiting(59_999), waiting(60_000)]).toEqual([false, true])
  })
})

describe('groupsOf', () => {
  it('settles what expires first in the first batch', () => {
    const claimBys = [FAR + 2, FAR, FAR + 1]
    const candidates = claimBys.map((claimBy) => {
      return { order: stored({}, { claimBy }), close: undefined, netFees: 1n, isUrgent: false } as const
    })
    const groups = groupsOf(candidates, policy({ batchSize: 2 }))
    expect(groups.map((group) => group.candidates.map(({ order }) => order.order.claimBy))).toEqual([
      [FAR, FAR + 1],
      [FAR + 2],
    ])
  })
})
