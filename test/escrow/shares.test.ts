import { expect } from 'chai'
import fc from 'fast-check'
import type { SharesHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/SharesHarness'
import { deploy } from '../support/fixture'
import { poolOf, sharesOfCall, sum, type Shares, type Step } from '../support/shares'

const MAX_96 = 2n ** 96n - 1n
const RUNS = { numRuns: 150 }

const networkBps = fc.bigInt(0n, 1_000n)
const royaltyBps = fc.bigInt(0n, 2_000n)
const facilitatorBps = fc.bigInt(0n, 2_000n)
const fee = fc.oneof(
  fc.bigInt(0n, 30n),
  fc.bigInt(0n, MAX_96),
  fc.constantFrom(0n, 1n, 9_999n, 10_000n, 10_001n, MAX_96),
)

function pick({ node, facilitator, royalty, network }: Shares): Shares {
  return { node, facilitator, royalty, network }
}

/** Totals of one order as they rise, as the steps of its settlements. */
function stepsOf(totals: readonly bigint[], rates: Pick<Step, 'networkBps' | 'royaltyBps'>): Step[] {
  const rising = [...totals].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0))
  return rising.map((cumulativeFee, i) => ({ before: rising[i - 1] ?? 0n, cumulativeFee, ...rates }))
}

describe('SharesLib', () => {
  let harness: SharesHarness
  before(async () => {
    harness = await deploy<SharesHarness>('SharesHarness')
  })

  it('adds up exactly for any order, step and share, and agrees with a second formula (E7)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fee,
        fee,
        networkBps,
        royaltyBps,
        facilitatorBps,
        async (a, b, network, royalty, facilitator) => {
          const step = { before: a < b ? a : b, cumulativeFee: a < b ? b : a, networkBps: network, royaltyBps: royalty }
          const shares = pick(await harness.settleTogether([step], facilitator))
          expect(sum(shares)).to.equal(step.cumulativeFee - step.before)
          expect(shares).to.deep.equal(sharesOfCall([step], facilitator))
        },
      ),
      RUNS,
    )
  })

  it('adds up exactly for any batch of orders with snapshots of their own (E7, E9)', async () => {
    const step = fc
      .tuple(fee, fee, fc.constantFrom(0n, 200n, 1_000n), fc.constantFrom(0n, 500n, 2_000n))
      .map(([a, b, network, royalty]) => ({
        before: a < b ? a : b,
        cumulativeFee: a < b ? b : a,
        networkBps: network,
        royaltyBps: royalty,
      }))
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 12 }), facilitatorBps, async (steps, facilitator) => {
        const shares = pick(await harness.settleTogether(steps, facilitator))
        expect(sum(shares)).to.equal(
          steps.reduce((total, { before, cumulativeFee }) => total + cumulativeFee - before, 0n),
        )
        expect(shares).to.deep.equal(sharesOfCall(steps, facilitator))
      }),
      RUNS,
    )
  })

  it('splitting a settlement gains the node nothing, however it is cut (E7)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fee, { minLength: 1, maxLength: 10 }),
        networkBps,
        royaltyBps,
        facilitatorBps,
        async (totals, network, royalty, facilitator) => {
          const steps = stepsOf(totals, { networkBps: network, royaltyBps: royalty })
          const each = (await harness.settleApart(steps, facilitator)).map(pick)
          const last = steps.at(-1)?.cumulativeFee ?? 0n
          expect(each.reduce((total, shares) => total + sum(shares), 0n)).to.equal(last)
          expect(each.reduce((total, { node }) => total + node, 0n)).to.equal(
            last - poolOf(last, network + royalty + facilitator),
          )
          // Nothing shrinks: a part that fell would be a huge number here, since nothing is checked inside.
          for (const [i, shares] of each.entries()) {
            const step = steps[i]
            const delta = (step?.cumulativeFee ?? 0n) - (step?.before ?? 0n)
            for (const part of [shares.node, shares.facilitator, shares.royalty, shares.network])
              expect(part <= delta).to.equal(true)
          }
        },
      ),
      RUNS,
    )
  })

  it('rounding takes less than three base units a call from anybody (E7)', async () => {
    await fc.assert(
      fc.asyncProperty(
        fee,
        networkBps,
        royaltyBps,
        facilitatorBps,
        async (cumulativeFee, network, royalty, facilitator) => {
          const rates = { networkBps: network, royaltyBps: royalty }
          const shares = pick(await harness.settleTogether([{ before: 0n, cumulativeFee, ...rates }], facilitator))
          const ideal = { network, royalty, facilitator, node: 10_000n - network - royalty - facilitator }
          for (const name of ['network', 'royalty', 'facilitator', 'node'] as const) {
            const error = shares[name] * 10_000n - cumulativeFee * ideal[name]
            expect(error < 30_000n && error > -30_000n, name).to.equal(true)
          }
        },
      ),
      RUNS,
    )
  })

  it('one base unit at a time at the highest shares: no part falls, where three independent floors would (E7)', async () => {
    const rates = { networkBps: 1_000n, royaltyBps: 2_000n }
    const steps = stepsOf(
      Array.from({ length: 400 }, (_, i) => BigInt(i + 1)),
      rates,
    )
    const each = (await harness.settleApart(steps, 2_000n)).map(pick)
    for (const shares of each) expect(sum(shares)).to.equal(1n)
    expect(each.reduce((total, { node }) => total + node, 0n)).to.equal(200n)
    const independent = (total: bigint) => total - total / 10n - total / 5n - total / 5n
    expect(steps.some(({ before, cumulativeFee }) => independent(cumulativeFee) < independent(before))).to.equal(true)
  })

  for (const [name, facilitator, rates] of [
    ['nobody but the node', 0n, { networkBps: 0n, royaltyBps: 0n }],
    ['the network alone', 0n, { networkBps: 1_000n, royaltyBps: 0n }],
    ['the model alone', 0n, { networkBps: 0n, royaltyBps: 2_000n }],
    ['the facilitator alone', 2_000n, { networkBps: 0n, royaltyBps: 0n }],
  ] as const) {
    it(`gives nothing to those without a share: ${name}`, async () => {
      for (const cumulativeFee of [0n, 1n, 9_999n, 10_000n, MAX_96]) {
        const shares = pick(await harness.settleTogether([{ before: 0n, cumulativeFee, ...rates }], facilitator))
        expect(shares).to.deep.equal({
          node: cumulativeFee - poolOf(cumulativeFee, facilitator + rates.networkBps + rates.royaltyBps),
          facilitator: poolOf(cumulativeFee, facilitator),
          royalty: poolOf(cumulativeFee, rates.royaltyBps),
          network: poolOf(cumulativeFee, rates.networkBps),
        })
      }
    })
  }
})
