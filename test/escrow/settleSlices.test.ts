import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { Wallet, ZeroAddress, ZeroHash, id, zeroPadValue } from 'ethers'
import { FACILITATOR_BPS, NETWORK_BPS, OPG, ROYALTY_BPS, makeOrder, now, orderIdOf } from '../support/fixture'
import {
  Skip,
  allocate,
  allocateTo,
  openRouted,
  plan,
  routedFixture,
  settleSlices,
  settleSlicesArgs,
  sliceIdOf,
  sliceNodes,
  sliceRows,
  type Plan,
  type RoutedFixture,
  type SliceGiven,
} from '../support/routed'
import { sharesOfSlices } from '../support/shares'

const MAX_96 = 2n ** 96n - 1n
const RATES = { networkBps: NETWORK_BPS, royaltyBps: ROYALTY_BPS }

async function allocatedFixture() {
  const f = await routedFixture()
  return { ...f, planned: await allocate(f, f.order, { cap: 2n * OPG, count: 5 }) }
}

/** Settles good slices around bad ones, and expects each bad one to be passed over for its reason, the good ones not. */
async function expectSkipped(
  f: RoutedFixture,
  planned: Plan,
  given: readonly (SliceGiven & { readonly reason?: bigint })[],
): Promise<void> {
  const rows = await sliceRows(
    f,
    planned,
    given.map(({ reason: _, ...one }) => one),
  )
  const good = given.filter(({ reason }) => reason === undefined).length
  const args = settleSlicesArgs(f, planned, rows)
  expect(await f.escrow.settleSlices.staticCall(...args)).to.equal(BigInt(good))
  const before = (await f.escrow.unsettledSlices(planned.allocationId)).bitmap
  const receipt = await (await f.escrow.settleSlices(...args)).wait()
  const skipped = (receipt?.logs ?? []).flatMap((log) => {
    const event = f.escrow.interface.parseLog(log)
    return event?.name === 'RowSkipped' ? [[event.args.orderId as string, event.args.reason as bigint]] : []
  })
  const expected = given.flatMap(({ index, reason }) =>
    reason === undefined ? [] : [[sliceIdOf(planned.allocationId, index), reason]],
  )
  expect(skipped).to.deep.equal(expected)
  const settled = given.reduce(
    (bits, { index, reason }) => (reason === undefined ? bits | (1n << BigInt(index)) : bits),
    0n,
  )
  expect((await f.escrow.unsettledSlices(planned.allocationId)).bitmap).to.equal(before ^ settled)
}

describe('settleSlices', () => {
  context('when evidence proves a fee', () => {
    it('settles one slice alone, by the proof of its leaf, and pays its node at once', async () => {
      const f = await loadFixture(allocatedFixture)
      const { planned } = f
      const [row] = await sliceRows(f, planned, [{ index: 3, fee: OPG }])
      if (row === undefined) throw new TypeError('no row')
      const args = settleSlicesArgs(f, planned, [row])
      expect(args[4].length).to.equal(3)
      expect(await f.escrow.settleSlices.staticCall(...args)).to.equal(1n)
      const sent = f.escrow.connect(f.stranger).settleSlices(...args)
      const shares = sharesOfSlices([OPG], RATES, FACILITATOR_BPS)
      await expect(sent)
        .to.emit(f.escrow, 'SliceSettled')
        .withArgs(
          f.orderId,
          sliceIdOf(planned.allocationId, 3),
          row.node,
          OPG,
          (OPG * 92n) / 100n,
          row.receiptsRoot,
          row.receiptCount,
        )
      await expect(sent)
        .to.emit(f.escrow, 'FeesCredited')
        .withArgs(ZeroAddress, 0n, OPG / 50n)
      await expect(sent)
        .to.emit(f.escrow, 'SharesCredited')
        .withArgs(f.facilitator.address, f.modelId, OPG / 100n, OPG / 20n)
      await expect(sent).to.changeTokenBalances(
        f.token,
        [row.node, f.escrow, f.payer, f.stranger],
        [shares.nodes[0] ?? 0n, -(shares.nodes[0] ?? 0n), 0n, 0n],
      )
      expect(await f.escrow.networkCredit()).to.equal(shares.network)
      expect(await f.escrow.networkCreditWith(ZeroAddress)).to.equal(0n)
      expect(await f.escrow.credits(f.facilitator)).to.equal(shares.facilitator)
      expect(await f.escrow.royalties(f.modelId)).to.equal(shares.royalty)
      expect([...(await f.escrow.unsettledSlices(planned.allocationId))]).to.deep.equal([true, 0b10111n])
      const state = await f.escrow.orders(f.orderId)
      expect([state.amount, state.released, state.reserved, state.closed]).to.deep.equal([
        10n * OPG,
        OPG,
        8n * OPG,
        false,
      ])
    })

    it('settles several, by one proof, each for its own node, and divides the shares of all of them exactly', async () => {
      const f = await loadFixture(allocatedFixture)
      const fees = [OPG + 7n, 1n, 2n * OPG - 1n]
      const given = [0, 2, 4].map((index, i) => ({ index, fee: fees[i] ?? 0n }))
      const rows = await sliceRows(f, f.planned, given)
      const shares = sharesOfSlices(fees, RATES, FACILITATOR_BPS)
      const sent = f.escrow.settleSlices(...settleSlicesArgs(f, f.planned, rows))
      await expect(sent).to.changeTokenBalances(
        f.token,
        rows.map(({ node }) => node),
        [...shares.nodes],
      )
      expect([
        await f.escrow.networkCredit(),
        await f.escrow.royalties(f.modelId),
        await f.escrow.credits(f.facilitator),
      ]).to.deep.equal([shares.network, shares.royalty, shares.facilitator])
      const total = fees.reduce((sum, fee) => sum + fee, 0n)
      const paid = shares.nodes.reduce((sum, fee) => sum + fee, 0n)
      expect(paid + shares.network + shares.royalty + shares.facilitator).to.equal(total) // (E7)
    })

    it('settles all 255 in one call, and the proof is only the one place without a slice', async () => {
      const f = await loadFixture(routedFixture)
      const planned = await allocate(f, f.order, { cap: OPG / 100n, count: 255 })
      const fees = planned.holders.map((_, index) => BigInt(index) * 1_000n)
      const rows = await sliceRows(
        f,
        planned,
        fees.map((fee, index) => ({ index, fee })),
      )
      const args = settleSlicesArgs(f, planned, rows)
      expect(args[4]).to.deep.equal([ZeroHash])
      const { nodes } = sharesOfSlices(fees, RATES, FACILITATOR_BPS)
      await expect(f.escrow.settleSlices(...args, { gasLimit: 29_000_000n })).to.changeTokenBalances(
        f.token,
        rows.map(({ node }) => node),
        [...nodes],
      )
      expect((await f.escrow.unsettledSlices(planned.allocationId)).bitmap).to.equal(0n)
      expect((await f.escrow.orders(f.orderId)).reserved).to.equal(0n)
    })

    it('settles all of an allocation with as many slices as its tree has places, without any proof', async () => {
      const f = await loadFixture(routedFixture)
      const planned = await allocate(f, f.order, { cap: OPG, count: 4 })
      const rows = await sliceRows(
        f,
        planned,
        planned.holders.map((_, index) => ({ index, fee: OPG })),
      )
      const args = settleSlicesArgs(f, planned, rows)
      expect(args[4]).to.deep.equal([])
      expect(await f.escrow.settleSlices.staticCall(...args)).to.equal(4n)
    })

    it('takes a fee at the cap, and passes over one unit more as overdrawn (E4)', async () => {
      const f = await loadFixture(allocatedFixture)
      await expectSkipped(f, f.planned, [
        { index: 0, fee: 2n * OPG },
        { index: 1, fee: 2n * OPG + 1n, reason: Skip.Overdrawn },
        { index: 2, fee: MAX_96, reason: Skip.Overdrawn },
      ])
      await expectSkipped(f, f.planned, [{ index: 1, fee: 2n * OPG }])
    })

    it('takes a fee of zero as final: the slice is given back, and nobody is paid', async () => {
      const f = await loadFixture(allocatedFixture)
      const sent = settleSlices(f, f.planned, [{ index: 1, fee: 0n, receiptCount: 0n }])
      await expect(sent).to.emit(f.escrow, 'SliceSettled')
      await expect(sent).not.to.emit(f.token, 'Transfer')
      await expect(sent).not.to.emit(f.escrow, 'FeesCredited')
      await expect(sent).not.to.emit(f.escrow, 'SharesCredited')
      expect((await f.escrow.orders(f.orderId)).reserved).to.equal(8n * OPG)
      await expectSkipped(f, f.planned, [{ index: 1, fee: OPG, reason: Skip.Closed }])
    })

    for (const [amount, fee] of [
      [1n, 1n],
      [MAX_96, 1n],
      [MAX_96, MAX_96 - 1n],
      [MAX_96, MAX_96],
    ] as const) {
      it(`conserves ${String(fee)} of an order and slice of ${String(amount)} (E7)`, async () => {
        const f = await loadFixture(routedFixture)
        await f.escrow.connect(f.facilitator).release(f.terms, f.order)
        await f.token.mint(f.payer, MAX_96)
        const { order } = await openRouted(f, { amount })
        const planned = await allocate(f, order, { cap: amount, count: 1 })
        const shares = sharesOfSlices([fee], RATES, FACILITATOR_BPS)
        await expect(settleSlices(f, planned, [{ index: 0, fee }])).to.changeTokenBalance(
          f.token,
          planned.signers[0]?.address ?? '',
          shares.nodes[0] ?? 0n,
        )
        const credited = shares.network + shares.royalty + shares.facilitator
        expect(await f.token.balanceOf(f.escrow)).to.equal(amount - fee + credited)
        const escrow = f.escrow.connect(f.facilitator)
        await expect(escrow.release(f.terms, order)).to.changeTokenBalance(f.token, f.payer, amount - fee)
        expect(await f.token.balanceOf(f.escrow)).to.equal(credited)
      })
    }

    it('pays a node that holds several slices for each of them', async () => {
      const f = await loadFixture(routedFixture)
      const [node] = sliceNodes(1)
      if (node === undefined) throw new TypeError('no node')
      const planned = await allocate(f, f.order, { cap: OPG, signers: [node, node, node] })
      const given = [0, 1, 2].map((index) => ({ index, fee: OPG }))
      await expect(settleSlices(f, planned, given)).to.changeTokenBalance(
        f.token,
        node.address,
        (3n * OPG * 92n) / 100n,
      )
    })

    it("settles under the key of its leaf where that is not the node's", async () => {
      const f = await loadFixture(routedFixture)
      const key = new Wallet(id('evidence key'))
      const [node] = sliceNodes(1)
      if (node === undefined) throw new TypeError('no node')
      const holder = { node: node.address, evidenceKey: zeroPadValue(key.address, 32) }
      const planned = await allocateTo(f, [holder], [key])
      const [byNode] = await sliceRows(f, planned, [{ index: 0, fee: OPG, signer: node }])
      const [byKey] = await sliceRows(f, planned, [{ index: 0, fee: OPG }])
      if (byNode === undefined || byKey === undefined) throw new TypeError('no rows')
      await expect(f.escrow.settleSlices(...settleSlicesArgs(f, planned, [byNode])))
        .to.emit(f.escrow, 'RowSkipped')
        .withArgs(sliceIdOf(planned.allocationId, 0), Skip.Refused)
      await expect(f.escrow.settleSlices(...settleSlicesArgs(f, planned, [byKey]))).to.changeTokenBalance(
        f.token,
        node.address,
        (OPG * 92n) / 100n,
      )
    })

    it('takes no rows at all, if there is no proof either', async () => {
      const f = await loadFixture(allocatedFixture)
      expect(await f.escrow.settleSlices.staticCall(...settleSlicesArgs(f, f.planned, []))).to.equal(0n)
      await expect(
        f.escrow.settleSlices(...settleSlicesArgs(f, f.planned, [], { proof: [f.planned.allocation.root] })),
      ).to.be.revertedWithCustomError(f.escrow, 'SliceProofInvalid')
    })
  })

  context('when a slice cannot be settled', () => {
    it('settles it once: again, or in a call with others, it is passed over (E5, F3)', async () => {
      const f = await loadFixture(allocatedFixture)
      await settleSlices(f, f.planned, [{ index: 2, fee: OPG }])
      await expectSkipped(f, f.planned, [
        { index: 1, fee: OPG },
        { index: 2, fee: OPG, reason: Skip.Closed },
        { index: 3, fee: OPG },
      ])
      await expectSkipped(f, f.planned, [{ index: 2, fee: 2n * OPG, reason: Skip.Closed }])
    })

    it('passes over evidence that the verifier refuses, and settles the others (E8)', async () => {
      const f = await loadFixture(allocatedFixture)
      await expectSkipped(f, f.planned, [
        { index: 0, fee: OPG, evidence: '0x', reason: Skip.Refused },
        { index: 1, fee: OPG },
        { index: 2, fee: OPG, signer: f.stranger, reason: Skip.Refused },
        { index: 3, fee: OPG, evidence: `0x${'ab'.repeat(700)}`, reason: Skip.Refused },
        { index: 4, fee: OPG },
      ])
    })

    it('settles only what the holder signed, to the last member (E3)', async () => {
      const f = await loadFixture(allocatedFixture)
      const rows = await sliceRows(f, f.planned, [{ index: 0, fee: OPG }])
      const [row] = rows
      if (row === undefined) throw new TypeError('no row')
      for (const altered of [
        { ...row, fee: OPG + 1n },
        { ...row, fee: 0n },
        { ...row, receiptsRoot: id('another') },
        { ...row, receiptCount: 3n },
      ]) {
        await expectSkipped(f, f.planned, [{ ...altered, reason: Skip.Refused }])
      }
      expect(await f.escrow.settleSlices.staticCall(...settleSlicesArgs(f, f.planned, rows))).to.equal(1n)
    })

    it('passes over a node that is zero or the escrow', async () => {
      const f = await loadFixture(routedFixture)
      const [honest] = sliceNodes(1)
      if (honest === undefined) throw new TypeError('no node')
      const holders = [ZeroAddress, f.home.escrow, honest.address].map((node) => ({ node, evidenceKey: ZeroHash }))
      const planned = await allocateTo(f, holders, [honest, honest, honest])
      await expectSkipped(f, planned, [
        { index: 0, fee: OPG, reason: Skip.NotPayable },
        { index: 1, fee: OPG, reason: Skip.NotPayable },
        { index: 2, fee: OPG },
      ])
    })

    it('takes no other key than the one that the payer pinned (E9)', async () => {
      const base = await loadFixture(routedFixture)
      const key = new Wallet(id('pinned key'))
      const pinned = zeroPadValue(key.address, 32)
      const f = { ...base, terms: { ...base.terms, evidenceKey: pinned } }
      const world = { ...f, ...(await openRouted(f)) }
      const [a, b, c] = sliceNodes(3)
      if (a === undefined || b === undefined || c === undefined) throw new TypeError('no nodes')
      const holders = [
        { node: a.address, evidenceKey: pinned },
        { node: b.address, evidenceKey: ZeroHash },
        { node: c.address, evidenceKey: zeroPadValue(c.address, 32) },
      ]
      const planned = await allocateTo(world, holders, [key, b, c])
      await expectSkipped(world, planned, [
        { index: 0, fee: OPG },
        { index: 1, fee: OPG, reason: Skip.WrongKey },
        { index: 2, fee: OPG, reason: Skip.WrongKey },
      ])
    })

    it('settles one second before claimBy, and passes over from then on as late', async () => {
      const f = await loadFixture(routedFixture)
      const claimBy = (await now()) + 1_000n
      const { order } = await openRouted(f, { claimBy })
      const planned = await allocate(f, order, { cap: OPG })
      const rows = await sliceRows(f, planned, [{ index: 0, fee: OPG }])
      const later = await sliceRows(f, planned, [{ index: 1, fee: OPG }])
      await time.setNextBlockTimestamp(claimBy - 1n)
      await expect(f.escrow.settleSlices(...settleSlicesArgs(f, planned, rows))).to.emit(f.escrow, 'SliceSettled')
      for (const after of [0n, 1n]) {
        await time.setNextBlockTimestamp(claimBy + after)
        const sent = f.escrow.settleSlices(...settleSlicesArgs(f, planned, later))
        await expect(sent).to.emit(f.escrow, 'RowSkipped').withArgs(sliceIdOf(planned.allocationId, 1), Skip.Late)
        await expect(sent).to.changeTokenBalance(f.token, f.escrow, 0n)
      }
    })

    it('passes over slices of a closed order', async () => {
      const f = await loadFixture(allocatedFixture)
      await time.increaseTo(f.order.claimBy)
      await f.escrow.reclaim(f.terms, f.order)
      await expectSkipped(f, f.planned, [
        { index: 0, fee: OPG, reason: Skip.Closed },
        { index: 4, fee: 0n, reason: Skip.Closed },
      ])
    })

    it('passes over slices that nobody allocated, of a known order and of an unknown one (E3)', async () => {
      const f = await loadFixture(routedFixture)
      const unknown = await makeOrder(f)
      for (const order of [f.order, unknown]) {
        const planned = plan(f, order, { cap: OPG })
        const rows = await sliceRows(f, planned, [{ index: 0, fee: OPG }])
        const args = settleSlicesArgs(f, planned, rows)
        expect(await f.escrow.settleSlices.staticCall(...args)).to.equal(0n)
        await expect(f.escrow.settleSlices(...args))
          .to.emit(f.escrow, 'RowSkipped')
          .withArgs(sliceIdOf(planned.allocationId, 0), Skip.Unknown)
      }
      expect((await f.escrow.orders(orderIdOf(f.home, f.terms, unknown))).openedAt).to.equal(0n)
    })
  })

  context('with several allocations', () => {
    it('settles slices of each, and only their own caps become free', async () => {
      const f = await loadFixture(routedFixture)
      const first = await allocate(f, f.order, { cap: OPG, count: 4 })
      const second = await allocate(f, f.order, { cap: 3n * OPG, count: 2 })
      await settleSlices(f, second, [{ index: 1, fee: OPG }])
      expect((await f.escrow.orders(f.orderId)).reserved).to.equal(7n * OPG)
      await settleSlices(f, first, [
        { index: 0, fee: OPG },
        { index: 3, fee: OPG / 2n },
      ])
      const state = await f.escrow.orders(f.orderId)
      expect([state.reserved, state.released]).to.deep.equal([5n * OPG, (5n * OPG) / 2n])
    })
  })
})
