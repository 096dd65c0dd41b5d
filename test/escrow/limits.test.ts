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
  type SignedOrder,
} from '../support/fixture'
import { allocate, openRouted, routedTerms, settleSlicesArgs, sliceRows } from '../support/routed'

/** What a batch may cost, to fit in any block with others. */
const GAS_LIMIT = 10_000_000n
/** Ample for an ECDSA pull, and asked to be left for each. */
const GAS_PER_ORDER = 100_000n

/** As many rows as were measured to fit: payers hold tokens before and after, nodes of slices hold none before. */
const FITS = { openBatch: 235, settle: 820, settleAndClose: 630, settleSlices: 244 } as const

/** Orders of three payers, opened in batches as large as fit; their receipts are kept. */
async function manyOpenedFixture() {
  const f = await deployFixture()
  const payers = await Promise.all([0, 1, 2].map((i) => createPayer(f.token, `limit payer ${String(i)}`)))
  const signed: SignedOrder[] = []
  for (let i = 0; i < FITS.settle; i++) {
    const payer = payers[i % payers.length] ?? f.payer
    signed.push(await signOrder(f, payer, await makeOrder(f, { payer: payer.address, amount: OPG })))
  }
  const batches = []
  for (let at = 0; at < signed.length; at += FITS.openBatch) {
    const batch = signed.slice(at, at + FITS.openBatch)
    batches.push(await f.escrow.openBatch(f.terms, batch, GAS_PER_ORDER, { gasLimit: GAS_LIMIT }))
  }
  return { ...f, signed, batches }
}

async function expectFits(sent: ContractTransactionResponse, events: number): Promise<void> {
  const receipt = await sent.wait()
  expect(receipt?.gasUsed ?? GAS_LIMIT + 1n).to.be.lessThanOrEqual(GAS_LIMIT)
  expect(receipt?.logs.length).to.be.greaterThanOrEqual(events)
}

describe('batches that fit in 10,000,000 gas', () => {
  it(`openBatch of ${String(FITS.openBatch)} orders`, async () => {
    const f = await loadFixture(manyOpenedFixture)
    const [first] = f.batches
    if (first === undefined) throw new TypeError('nothing was opened')
    await expectFits(first, FITS.openBatch)
    expect(await f.token.balanceOf(f.escrow)).to.equal(BigInt(FITS.settle) * OPG)
  }).timeout(120_000)

  for (const close of [false, true]) {
    const count = close ? FITS.settleAndClose : FITS.settle
    it(`settle of ${String(count)} rows ${close ? 'with' : 'without'} close`, async () => {
      const f = await loadFixture(manyOpenedFixture)
      const rows = f.signed.slice(0, count).map(({ order }) => settleRow(order, OPG / 2n, { close }))
      const evidence = await settlementEvidence(f, f.node, rows)
      await expectFits(await f.escrow.settle(f.terms, rows, evidence, { gasLimit: GAS_LIMIT }), count)
      expect(await f.escrow.credits(f.node)).to.equal((BigInt(count) * OPG * 46n) / 100n)
    }).timeout(120_000)
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
    await expectFits(await f.escrow.settleSlices(...args, { gasLimit: GAS_LIMIT }), 2 * FITS.settleSlices)
    expect((await f.escrow.unsettledSlices(planned.allocationId)).bitmap).to.equal(0n)
  }).timeout(120_000)
})
