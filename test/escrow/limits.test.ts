import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import type { ContractTransactionResponse } from 'ethers'
import {
  OPG,
  createPayer,
  deployFixture,
  makeOrder,
  settleRow,
  settlementEvidence,
  signOrder,
  type Fixture,
  type SettleRow,
  type SignedOrder,
} from '../support/fixture'
import { allocate, openRouted, routedTerms, settleSlicesArgs, sliceRows } from '../support/routed'

/** What a batch may cost, to fit in any block with others. */
const GAS_LIMIT = 10_000_000n
/** Ample for an ECDSA pull, and asked to be left for each. */
const GAS_PER_ORDER = 100_000n

/** Rows that were measured to fit in 10,000,000 gas, of payers and nodes that hold tokens before and after. */
export const FITS = { openBatch: 235, settle: 820, settleAndClose: 630, settleSlices: 244 } as const

async function signMany(f: Fixture, count: number): Promise<SignedOrder[]> {
  const signed: SignedOrder[] = []
  const payers = await Promise.all([0, 1, 2].map((i) => createPayer(f.token, `limit payer ${String(i)}`)))
  for (let i = 0; i < count; i++) {
    const payer = payers[i % payers.length] ?? f.payer
    signed.push(await signOrder(f, payer, await makeOrder(f, { payer: payer.address, amount: OPG })))
  }
  return signed
}

async function openMany(f: Fixture, count: number): Promise<SignedOrder[]> {
  const signed = await signMany(f, count)
  for (let at = 0; at < count; at += FITS.openBatch)
    await (
      await f.escrow.openBatch(f.terms, signed.slice(at, at + FITS.openBatch), GAS_PER_ORDER, { gasLimit: 16_000_000n })
    ).wait()
  return signed
}

async function expectFits(name: string, sent: Promise<ContractTransactionResponse>): Promise<void> {
  const receipt = await (await sent).wait()
  const gasUsed = receipt?.gasUsed ?? GAS_LIMIT + 1n
  if (process.env.SHOW_GAS !== undefined) console.log(`      ${name}: ${String(gasUsed)} gas`)
  expect(gasUsed, name).to.be.lessThanOrEqual(GAS_LIMIT)
}

describe('batches that fit in 10,000,000 gas', () => {
  it(`openBatch of ${String(FITS.openBatch)} orders`, async () => {
    const f = await loadFixture(deployFixture)
    const signed = await signMany(f, FITS.openBatch)
    const gas = { gasLimit: GAS_LIMIT }
    await expectFits('openBatch', f.escrow.openBatch(f.terms, signed, GAS_PER_ORDER, gas))
    expect(await f.token.balanceOf(f.escrow)).to.equal(BigInt(FITS.openBatch) * OPG)
  })

  for (const close of [false, true]) {
    const name = close ? 'settleAndClose' : 'settle'
    it(`settle of ${String(FITS[name])} rows ${close ? 'with' : 'without'} close`, async () => {
      const f = await loadFixture(deployFixture)
      const opened = await openMany(f, FITS[name])
      const rows: SettleRow[] = opened.map(({ order }) => settleRow(order, OPG / 2n, { close }))
      const evidence = await settlementEvidence(f, f.node, rows)
      const gas = { gasLimit: GAS_LIMIT }
      await expectFits(name, f.escrow.settle(f.terms, rows, evidence, gas))
      expect(await f.escrow.credits(f.node)).to.equal((BigInt(FITS[name]) * OPG * 46n) / 100n)
    })
  }

  it(`settleSlices of ${String(FITS.settleSlices)} slices`, async () => {
    const base = await loadFixture(deployFixture)
    const f = { ...base, terms: routedTerms(base.terms) }
    const { order } = await openRouted(f)
    const planned = await allocate(f, order, { cap: OPG / 100n, count: FITS.settleSlices })
    const rows = await sliceRows(
      f,
      planned,
      planned.holders.map((_, index) => ({ index, fee: OPG / 200n })),
    )
    const args = settleSlicesArgs(f, planned, rows)
    await expectFits('settleSlices', f.escrow.settleSlices(...args, { gasLimit: GAS_LIMIT }))
    expect((await f.escrow.unsettledSlices(planned.allocationId)).bitmap).to.equal(0n)
  })
})
