import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { Signature, ZeroHash, concat, id, toBeHex } from 'ethers'
import type { HostileVerifier } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileVerifier'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import {
  BATCH_TYPES,
  OPG,
  PERMIT2_ADDRESS,
  batchMessage,
  deploy,
  escrowDomain,
  openOrder,
  settleRow,
  settlementEvidence,
} from '../support/fixture'
import {
  Skip,
  allocate,
  openRouted,
  plan,
  routedFixture,
  settleSlices,
  settleSlicesArgs,
  sliceIdOf,
  sliceMessage,
  sliceNodes,
  sliceRow,
  sliceRows,
  type Plan,
  type RoutedFixture,
  type SliceRow,
} from '../support/routed'

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** One node that holds every slice: what it signs for one of them must serve no other. */
async function oneNodeFixture() {
  const f = await routedFixture()
  const [node] = sliceNodes(1)
  if (node === undefined) throw new TypeError('no node')
  const opened = await openRouted(f, { amount: 20n * OPG })
  const planned = await allocate(f, opened.order, { cap: 2n * OPG, signers: [node, node, node] })
  return { ...f, ...opened, slicer: node, planned }
}

async function expectRefused(f: RoutedFixture, planned: Plan, row: SliceRow): Promise<void> {
  const sent = f.escrow.settleSlices(...settleSlicesArgs(f, planned, [row]))
  await expect(sent).to.emit(f.escrow, 'RowSkipped').withArgs(sliceIdOf(planned.allocationId, row.index), Skip.Refused)
  await expect(sent).to.changeTokenBalance(f.token, f.escrow, 0n)
}

describe('attacks on routed orders', () => {
  it('a slice closes the whole order: a routed order is never settled as a direct one (F3)', async () => {
    const f = await loadFixture(oneNodeFixture)
    const rows = [settleRow(f.order, OPG, { close: true })]
    const domain = escrowDomain(f.home)
    const messages = [
      batchMessage(f.home, f.terms, rows),
      { ...batchMessage(f.home, f.terms, rows), node: f.slicer.address },
      sliceMessage(f.orderId, { ...(await sliceRow(f, f.planned, { index: 0, fee: OPG })) }),
    ]
    for (const message of messages) {
      for (const signer of [f.slicer, f.facilitator]) {
        const evidence = await signer.signTypedData(domain, BATCH_TYPES, message)
        for (const settle of [f.escrow.settle, f.escrow.settleWithClaim] as const) {
          await expect(settle(f.terms, rows, evidence))
            .to.be.revertedWithCustomError(f.escrow, 'NodeInvalid')
            .withArgs('0x0000000000000000000000000000000000000000')
        }
      }
    }
    // Nor under terms that name the slice's node: they make another order, which nobody opened.
    const terms = { ...f.terms, node: f.slicer.address }
    const evidence = await settlementEvidence(f, f.slicer, rows, { terms })
    expect(await f.escrow.settle.staticCall(terms, rows, evidence)).to.equal(0n)
    await expect(f.escrow.connect(f.slicer).release.staticCall(terms, f.order)).to.be.revertedWithCustomError(
      f.escrow,
      'OrderUnknown',
    )
    expect((await f.escrow.orders(f.orderId)).closed).to.equal(false)
  })

  it('verifier that accepts everything: no row of settle reaches a routed order, and no slice exceeds its cap (F3, E4, E10)', async () => {
    const base = await loadFixture(routedFixture)
    const verifier = await deploy<HostileVerifier>('HostileVerifier')
    const f = { ...base, terms: { ...base.terms, verifier: await verifier.getAddress() } }
    const opened = await openRouted(f)
    const world = { ...f, ...opened }
    const planned = await allocate(world, opened.order, { cap: OPG, count: 2 })
    const rows = [settleRow(opened.order, OPG, { close: true })]
    await expect(f.escrow.settle(f.terms, rows, '0x')).to.be.revertedWithCustomError(f.escrow, 'NodeInvalid')
    const greedy = await sliceRows(world, planned, [
      { index: 0, fee: OPG + 1n, evidence: '0x' },
      { index: 1, fee: OPG, evidence: '0x' },
    ])
    const sent = f.escrow.settleSlices(...settleSlicesArgs(f, planned, greedy))
    await expect(sent).to.changeTokenBalances(
      f.token,
      greedy.map(({ node }) => node),
      [0n, (OPG * 92n) / 100n],
    )
    const state = await f.escrow.orders(opened.orderId)
    expect([state.released, state.reserved]).to.deep.equal([OPG, OPG])
  })

  it("one slice's evidence used for another of the same node: refused (F3)", async () => {
    const f = await loadFixture(oneNodeFixture)
    const row = await sliceRow(f, f.planned, { index: 0, fee: OPG })
    for (const index of [1, 2]) await expectRefused(f, f.planned, { ...row, index })
    await expect(f.escrow.settleSlices(...settleSlicesArgs(f, f.planned, [row]))).to.emit(f.escrow, 'SliceSettled')
  })

  it("one slice's evidence used in another allocation, order or escrow with the same tree: refused (F3, E5)", async () => {
    const f = await loadFixture(oneNodeFixture)
    const signers = [f.slicer, f.slicer, f.slicer]
    const row = await sliceRow(f, f.planned, { index: 0, fee: OPG })
    const other = await openRouted(f)
    const series = f.planned.allocation.series
    for (const planned of [
      await allocate(f, f.order, { cap: OPG, signers, series }), // differs in cap alone
      await allocate(f, f.order, { cap: 2n * OPG, signers, series: series + 1_000n }), // in series alone
      await allocate(f, other.order, { cap: 2n * OPG, signers, series }), // in the order alone
    ]) {
      expect(planned.allocation.root).to.equal(f.planned.allocation.root)
      await expectRefused(f, planned, row)
    }
    // Another escrow, where the same order and the same allocation have other ids and other digests.
    const escrow = await deploy<InferenceEscrow>('InferenceEscrow', [
      f.home.token,
      PERMIT2_ADDRESS,
      f.policy,
      f.registry,
    ])
    const there = { ...f, escrow, home: { ...f.home, escrow: await escrow.getAddress() } }
    const elsewhere = { ...there, ...(await openRouted(there)) }
    const planned = await allocate(elsewhere, elsewhere.order, { cap: 2n * OPG, signers, series })
    await expectRefused(elsewhere, planned, row)
    const signedThere = await sliceRow(elsewhere, f.planned, { index: 0, fee: OPG })
    await expectRefused(f, f.planned, signedThere)
  })

  it("a slice's evidence used in settle, for a direct order of the same node and terms otherwise: refused (F3)", async () => {
    const f = await loadFixture(oneNodeFixture)
    const terms = { ...f.terms, node: f.slicer.address }
    const { order } = await openOrder(f, {}, { terms })
    const row = await sliceRow(f, f.planned, { index: 0, fee: OPG })
    const { fee: cumulativeFee, receiptsRoot, receiptCount } = row
    const rows = [settleRow(order, cumulativeFee, { receiptsRoot, receiptCount, close: true })]
    await expect(f.escrow.settle(terms, rows, row.evidence)).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
  })

  it("an order's evidence used for a slice: refused, be it a direct order's or that of the slices' own (F3)", async () => {
    const f = await loadFixture(oneNodeFixture)
    const terms = { ...f.terms, node: f.slicer.address }
    const { order } = await openOrder(f, {}, { terms })
    const row = await sliceRow(f, f.planned, { index: 0, fee: OPG })
    const { receiptsRoot, receiptCount } = row
    const same = { receiptsRoot, receiptCount, close: true }
    const direct = await settlementEvidence(f, f.slicer, [settleRow(order, OPG, same)], { terms })
    const routed = await settlementEvidence(f, f.slicer, [settleRow(f.order, OPG, same)])
    const message = { ...batchMessage(f.home, f.terms, [settleRow(f.order, OPG, same)]), node: f.slicer.address }
    const named = await f.slicer.signTypedData(escrowDomain(f.home), BATCH_TYPES, message)
    for (const evidence of [direct, routed, named]) await expectRefused(f, f.planned, { ...row, evidence })
  })

  it('an old lower total burns a slice: a settlement without close, as nodes sign on the way, settles none (F3)', async () => {
    const f = await loadFixture(oneNodeFixture)
    const row = await sliceRow(f, f.planned, { index: 0, fee: OPG / 2n })
    const { fee, receiptsRoot, receiptCount } = row
    const sliceId = sliceIdOf(f.planned.allocationId, 0)
    const open = { orderId: sliceId, cumulativeFee: fee, receiptsRoot, receiptCount, close: false }
    const message = { node: f.slicer.address, evidenceKey: ZeroHash, settlements: [open] }
    const evidence = await f.slicer.signTypedData(escrowDomain(f.home), BATCH_TYPES, message)
    await expectRefused(f, f.planned, { ...row, evidence })
    await expect(settleSlices(f, f.planned, [{ index: 0, fee: 2n * OPG }])).to.changeTokenBalance(
      f.token,
      f.slicer.address,
      (2n * OPG * 92n) / 100n,
    )
  })

  it("a batch that names several of a node's slices, signed together: one by one it settles none of them", async () => {
    const f = await loadFixture(oneNodeFixture)
    const rows = await sliceRows(f, f.planned, [
      { index: 0, fee: OPG },
      { index: 1, fee: OPG },
    ])
    const settlements = rows.flatMap(
      (row) => sliceMessage(sliceIdOf(f.planned.allocationId, row.index), row).settlements,
    )
    const message = { node: f.slicer.address, evidenceKey: ZeroHash, settlements }
    const evidence = await f.slicer.signTypedData(escrowDomain(f.home), BATCH_TYPES, message)
    for (const row of rows) await expectRefused(f, f.planned, { ...row, evidence })
  })

  it('evidence replayed, or its twin with high s: the slice is paid once (E5)', async () => {
    const f = await loadFixture(oneNodeFixture)
    const row = await sliceRow(f, f.planned, { index: 0, fee: OPG })
    await f.escrow.settleSlices(...settleSlicesArgs(f, f.planned, [row]))
    const { r, s, v } = Signature.from(row.evidence)
    const twin = concat([r, toBeHex(CURVE_ORDER - BigInt(s), 32), toBeHex(v === 27 ? 28 : 27)])
    for (const evidence of [row.evidence, twin]) {
      const sent = f.escrow.settleSlices(...settleSlicesArgs(f, f.planned, [{ ...row, evidence }]))
      await expect(sent).to.emit(f.escrow, 'RowSkipped').withArgs(sliceIdOf(f.planned.allocationId, 0), Skip.Closed)
      await expect(sent).to.changeTokenBalance(f.token, f.slicer.address, 0n)
    }
  })

  it("node of another slice charges the same authorization: its own slice's id is another one (F3)", async () => {
    const f = await loadFixture(routedFixture)
    const planned = await allocate(f, f.order, { cap: OPG })
    const honest = await sliceRow(f, planned, { index: 0, fee: OPG })
    const thief = planned.signers[1]
    if (thief === undefined) throw new TypeError('no thief')
    // Slice 0 under the thief's signature; and the honest node's evidence on the thief's slice.
    await expectRefused(f, planned, await sliceRow(f, planned, { index: 0, fee: OPG, signer: thief }))
    await expectRefused(f, planned, {
      ...(await sliceRow(f, planned, { index: 1 })),
      evidence: honest.evidence,
      fee: OPG,
    })
    const asThief = { ...honest, node: thief.address }
    await expect(f.escrow.settleSlices(...settleSlicesArgs(f, planned, [asThief]))).to.be.revertedWithCustomError(
      f.escrow,
      'SliceProofInvalid',
    )
  })

  it('facilitator invents nodes of its own: it gets no more than the order holds, and only with their evidence (E4)', async () => {
    const f = await loadFixture(routedFixture)
    const whole = await allocate(f, f.order, { cap: 10n * OPG, count: 1 })
    const more = plan(f, f.order, { cap: 1n, count: 1 })
    await expect(
      f.escrow.connect(f.facilitator).allocate(f.terms, f.order, more.allocation, '0x'),
    ).to.be.revertedWithCustomError(f.escrow, 'AllocationTooLarge')
    await expectRefused(f, whole, await sliceRow(f, whole, { index: 0, fee: OPG, signer: f.facilitator }))
  })

  it('terms or order altered: no slice is found under them (E4, E9)', async () => {
    const f = await loadFixture(oneNodeFixture)
    const row = await sliceRow(f, f.planned, { index: 0, fee: OPG })
    const [terms, order, ...rest] = settleSlicesArgs(f, f.planned, [row])
    const termsOf = [
      { ...terms, facilitator: f.stranger.address },
      { ...terms, facilitatorBps: terms.facilitatorBps + 1n },
      { ...terms, verifier: f.home.token },
      { ...terms, evidenceKey: id('another key') },
      { ...terms, modelId: id('another model') },
    ]
    for (const altered of termsOf) expect(await f.escrow.settleSlices.staticCall(altered, order, ...rest)).to.equal(0n)
    const ordersOf = [
      { ...order, payer: f.otherPayer.address },
      { ...order, nonce: order.nonce + 1_000n },
      { ...order, amount: order.amount + 1n },
      { ...order, claimBy: order.claimBy + 1n },
      { ...order, job: { ...order.job, requester: f.stranger.address } },
    ]
    for (const altered of ordersOf) expect(await f.escrow.settleSlices.staticCall(terms, altered, ...rest)).to.equal(0n)
    await expect(
      f.escrow.settleSlices({ ...terms, node: f.slicer.address }, order, ...rest),
    ).to.be.revertedWithCustomError(f.escrow, 'OrderNotRouted')
    expect(await f.escrow.settleSlices.staticCall(terms, order, ...rest)).to.equal(1n)
  })

  it('policy and model owner raise their shares after open: slices keep those the order opened with (E9)', async () => {
    const f = await loadFixture(oneNodeFixture)
    await f.policy.setNetworkBps(1_000)
    await f.escrow.syncNetworkBps()
    await f.registry.connect(f.modelOwner).setRoyaltyBps(f.modelId, 2_000)
    const later = await allocate(f, f.order, { cap: OPG, signers: [f.slicer] })
    await settleSlices(f, later, [{ index: 0, fee: OPG }])
    await settleSlices(f, f.planned, [{ index: 0, fee: OPG }])
    expect(await f.token.balanceOf(f.slicer.address)).to.equal((2n * OPG * 92n) / 100n)
    expect(await f.escrow.networkCredit()).to.equal(OPG / 25n)
    expect(await f.escrow.royalties(f.modelId)).to.equal(OPG / 10n)
  })
})
