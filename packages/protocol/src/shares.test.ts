import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { smallUint, uint } from '../test/arbitraries.js'
import { refusalOf } from '../test/refusal.js'
import { type FeeShares, sharesOf } from './shares.js'

const rates = fc.record({
  networkBps: fc.integer({ min: 0, max: 1000 }),
  royaltyBps: fc.integer({ min: 0, max: 2000 }),
  facilitatorBps: fc.integer({ min: 0, max: 2000 }),
})
const FULL = { networkBps: 1000, royaltyBps: 2000, facilitatorBps: 2000 }
const sum = (shares: FeeShares) => shares.node + shares.facilitator + shares.royalty + shares.network
const add = (a: FeeShares, b: FeeShares): FeeShares => ({
  node: a.node + b.node,
  facilitator: a.facilitator + b.facilitator,
  royalty: a.royalty + b.royalty,
  network: a.network + b.network,
})

describe('sharesOf', () => {
  it('loses nothing and is never negative (E7), down to steps of one base unit', () => {
    fc.assert(
      fc.property(rates, uint(90), fc.oneof(smallUint(4).map(BigInt), uint(90)), (some, before, fee) => {
        const shares = sharesOf({ ...some, before, cumulative: before + fee })
        expect(sum(shares)).toBe(fee)
        for (const share of Object.values(shares)) expect(share >= 0n).toBe(true)
      }),
      { numRuns: 1000 },
    )
  })

  it('gives the node no negative part where all shares step at one base unit', () => {
    // 9 to 10 is where 10, 20 and 20 percent all step at once.
    expect(sharesOf({ ...FULL, before: 9n, cumulative: 10n })).toEqual({
      node: 0n,
      facilitator: 1n,
      royalty: 0n,
      network: 0n,
    })
  })

  it('gains node and payer nothing by splitting a settlement, and the others at most two base units', () => {
    fc.assert(
      fc.property(rates, fc.array(uint(60), { minLength: 3, maxLength: 3 }), (some, totals) => {
        const [a = 0n, b = 0n, c = 0n] = totals.sort((x, y) => (x < y ? -1 : 1))
        const split = add(
          sharesOf({ ...some, before: a, cumulative: b }),
          sharesOf({ ...some, before: b, cumulative: c }),
        )
        const whole = sharesOf({ ...some, before: a, cumulative: c })
        expect(split.node).toBe(whole.node)
        for (const name of ['facilitator', 'royalty', 'network'] as const) {
          expect(split[name] - whole[name] <= 2n && whole[name] - split[name] <= 2n).toBe(true)
        }
      }),
    )
  })

  it('gives each party its rate, to less than two base units', () => {
    fc.assert(
      fc.property(rates, uint(96), (some, cumulative) => {
        const shares = sharesOf({ ...some, before: 0n, cumulative })
        const parts = [
          [shares.network, some.networkBps],
          [shares.royalty, some.royaltyBps],
          [shares.facilitator, some.facilitatorBps],
        ] as const
        for (const [share, bps] of parts) {
          const tenThousandths = share * 10_000n - cumulative * BigInt(bps)
          expect(tenThousandths > -20_000n && tenThousandths < 20_000n).toBe(true)
        }
      }),
    )
  })

  it('leaves everything to the node where nobody else asks', () => {
    const none = { networkBps: 0, royaltyBps: 0, facilitatorBps: 0 }
    expect(sharesOf({ ...none, before: 3n, cumulative: 10n })).toEqual({
      node: 7n,
      facilitator: 0n,
      royalty: 0n,
      network: 0n,
    })
  })

  it.each([
    ['a network share over its cap (F2)', { networkBps: 1001 }, 'networkBps'],
    ['a royalty over its cap (F2)', { royaltyBps: 2001 }, 'royaltyBps'],
    ['a facilitator share over its cap (F2)', { facilitatorBps: 2001 }, 'facilitatorBps'],
    ['a negative rate', { networkBps: -1 }, 'networkBps'],
    ['a fractional rate', { royaltyBps: 0.5 }, 'royaltyBps'],
    ['a total that falls', { before: 11n }, 'cumulative'],
    ['a negative total', { before: -1n }, 'before'],
  ])('refuses %s', (_, change, field) => {
    expect(refusalOf(() => sharesOf({ ...FULL, before: 0n, cumulative: 10n, ...change })).field).toBe(field)
  })
})
