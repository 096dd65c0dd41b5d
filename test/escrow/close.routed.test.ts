import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { FACILITATOR_BPS, NETWORK_BPS, OPG, ROYALTY_BPS, makeOrder, now, orderIdOf } from '../support/fixture'
import {
  Skip,
  allocate,
  openRouted,
  routedFixture,
  settleSlices,
  settleSlicesArgs,
  sliceIdOf,
  sliceRows,
} from '../support/routed'
import { sharesOfSlices } from '../support/shares'

const RATES = { networkBps: NETWORK_BPS, royaltyBps: ROYALTY_BPS }

describe('release of a routed order', () => {
  context('when the facilitator calls and nothing is reserved', () => {
    it('returns the whole amount where nothing was ever allocated', async () => {
      const f = await loadFixture(routedFixture)
      const escrow = f.escrow.connect(f.facilitator)
      expect(await escrow.release.staticCall(f.terms, f.order)).to.equal(f.order.amount)
      const sent = escrow.release(f.terms, f.order)
      await expect(sent).to.emit(f.escrow, 'OrderReleased').withArgs(f.orderId, f.order.amount)
      await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.escrow], [f.order.amount, -f.order.amount])
      const state = await f.escrow.orders(f.orderId)
      expect([state.closed, state.amount]).to.deep.equal([true, f.order.amount])
    })

    it('returns what slices did not cost, to the last unit (E7)', async () => {
      const f = await loadFixture(routedFixture)
      const fees = [OPG + 1n, 0n, 3n]
      const planned = await allocate(f, f.order, { cap: 3n * OPG })
      await settleSlices(
        f,
        planned,
        fees.map((fee, index) => ({ index, fee })),
      )
      const spent = fees.reduce((sum, fee) => sum + fee, 0n)
      const refund = f.order.amount - spent
      const sent = f.escrow.connect(f.facilitator).release(f.terms, f.order)
      await expect(sent).to.emit(f.escrow, 'OrderReleased').withArgs(f.orderId, refund)
      await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.facilitator], [refund, 0n])
      const shares = sharesOfSlices(fees, RATES, FACILITATOR_BPS)
      const owed = shares.network + shares.royalty + shares.facilitator
      expect(await f.token.balanceOf(f.escrow)).to.equal(owed)
      expect(shares.nodes.reduce((sum, fee) => sum + fee, owed) + refund).to.equal(f.order.amount)
    })

    it('transfers nothing where slices took everything', async () => {
      const f = await loadFixture(routedFixture)
      const planned = await allocate(f, f.order, { cap: 10n * OPG, count: 1 })
      await settleSlices(f, planned, [{ index: 0, fee: 10n * OPG }])
      const sent = f.escrow.connect(f.facilitator).release(f.terms, f.order)
      await expect(sent).to.emit(f.escrow, 'OrderReleased').withArgs(f.orderId, 0n)
      await expect(sent).not.to.emit(f.token, 'Transfer')
    })

    it('works after claimBy too', async () => {
      const f = await loadFixture(routedFixture)
      await time.increaseTo(f.order.claimBy)
      await expect(f.escrow.connect(f.facilitator).release(f.terms, f.order)).to.changeTokenBalance(
        f.token,
        f.payer,
        f.order.amount,
      )
    })
  })

  context('when slices are reserved', () => {
    it('facilitator closes early against reserved slices: refused until the last is settled (E2)', async () => {
      const f = await loadFixture(routedFixture)
      const planned = await allocate(f, f.order, { cap: 2n * OPG, count: 2 })
      const escrow = f.escrow.connect(f.facilitator)
      await expect(escrow.release(f.terms, f.order))
        .to.be.revertedWithCustomError(f.escrow, 'SlicesReserved')
        .withArgs(f.orderId, 4n * OPG)
      await settleSlices(f, planned, [{ index: 0, fee: OPG }])
      await expect(escrow.release(f.terms, f.order))
        .to.be.revertedWithCustomError(f.escrow, 'SlicesReserved')
        .withArgs(f.orderId, 2n * OPG)
      await settleSlices(f, planned, [{ index: 1, fee: 0n }]) // a silent slice, given back
      await expect(escrow.release(f.terms, f.order)).to.changeTokenBalance(f.token, f.payer, 9n * OPG)
    })

    it('facilitator closes early in one call with the settlement: only the slices that settle are gone (E2)', async () => {
      const f = await loadFixture(routedFixture)
      const planned = await allocate(f, f.order, { cap: 2n * OPG, count: 2 })
      const rows = await sliceRows(f, planned, [
        { index: 0, fee: OPG },
        { index: 1, fee: OPG, evidence: '0x' },
      ])
      const calls = [
        f.escrow.interface.encodeFunctionData('settleSlices', settleSlicesArgs(f, planned, rows)),
        f.escrow.interface.encodeFunctionData('release', [f.terms, f.order]),
      ]
      await expect(f.escrow.connect(f.facilitator).multicall(calls))
        .to.be.revertedWithCustomError(f.escrow, 'SlicesReserved')
        .withArgs(f.orderId, 2n * OPG)
    })

    it('a slice of one base unit is enough to hold the order open', async () => {
      const f = await loadFixture(routedFixture)
      await allocate(f, f.order, { cap: 1n, count: 1 })
      await expect(f.escrow.connect(f.facilitator).release(f.terms, f.order))
        .to.be.revertedWithCustomError(f.escrow, 'SlicesReserved')
        .withArgs(f.orderId, 1n)
    })
  })

  context('when somebody else calls', () => {
    it('refuses the payer, nodes of slices and strangers', async () => {
      const f = await loadFixture(routedFixture)
      for (const caller of [f.payer, f.node, f.stranger, f.network]) {
        await expect(f.escrow.connect(caller).release(f.terms, f.order))
          .to.be.revertedWithCustomError(f.escrow, 'NotFacilitator')
          .withArgs(f.facilitator.address, caller.address)
      }
    })
  })

  context('when there is no open order', () => {
    it('refuses one that is unknown, and one that is closed', async () => {
      const f = await loadFixture(routedFixture)
      const escrow = f.escrow.connect(f.facilitator)
      const unknown = await makeOrder(f)
      await expect(escrow.release(f.terms, unknown))
        .to.be.revertedWithCustomError(f.escrow, 'OrderUnknown')
        .withArgs(orderIdOf(f.home, f.terms, unknown))
      await escrow.release(f.terms, f.order)
      await expect(escrow.release(f.terms, f.order))
        .to.be.revertedWithCustomError(f.escrow, 'OrderClosed')
        .withArgs(f.orderId)
    })
  })
})

describe('reclaim of a routed order', () => {
  it('returns everything but the paid fees, slices that were not settled among it, to the last unit (E6, E7)', async () => {
    const f = await loadFixture(routedFixture)
    const first = await allocate(f, f.order, { cap: 2n * OPG, count: 3 })
    await allocate(f, f.order, { cap: OPG, count: 2 })
    const fees = [OPG + 3n, 7n]
    await settleSlices(
      f,
      first,
      fees.map((fee, index) => ({ index, fee })),
    )
    await time.increaseTo(f.order.claimBy)
    const refund = f.order.amount - OPG - 10n
    const escrow = f.escrow.connect(f.stranger)
    expect(await escrow.reclaim.staticCall(f.terms, f.order)).to.equal(refund)
    const sent = escrow.reclaim(f.terms, f.order)
    await expect(sent).to.emit(f.escrow, 'OrderReclaimed').withArgs(f.orderId, refund)
    await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.escrow], [refund, -refund])
    const shares = sharesOfSlices(fees, RATES, FACILITATOR_BPS)
    expect(await f.token.balanceOf(f.escrow)).to.equal(shares.network + shares.royalty + shares.facilitator)
    await f.escrow.claim(f.facilitator)
    await f.escrow.claimRoyalty(f.modelId, f.modelOwner)
    await f.escrow.claimNetwork(f.network)
    expect(await f.token.balanceOf(f.escrow)).to.equal(0n)
    // What slices held is gone with the order: neither their evidence nor another close moves anything (E5).
    const late = await settleSlices(f, first, [{ index: 2, fee: OPG }])
    await expect(late).to.emit(f.escrow, 'RowSkipped').withArgs(sliceIdOf(first.allocationId, 2), Skip.Closed)
    await expect(escrow.reclaim(f.terms, f.order)).to.be.revertedWithCustomError(f.escrow, 'OrderClosed')
  })

  it('refuses one second before claimBy, whatever is reserved, and works from then on (E2, E6)', async () => {
    const f = await loadFixture(routedFixture)
    for (const after of [0n, 1n]) {
      const claimBy = (await now()) + 1_000n
      const { order, orderId } = await openRouted(f, { claimBy })
      await allocate(f, order, { cap: OPG })
      await time.setNextBlockTimestamp(claimBy - 1n)
      await expect(f.escrow.reclaim(f.terms, order))
        .to.be.revertedWithCustomError(f.escrow, 'OrderNotExpired')
        .withArgs(orderId, claimBy, claimBy - 1n)
      await time.setNextBlockTimestamp(claimBy + after)
      await expect(f.escrow.reclaim(f.terms, order)).to.changeTokenBalance(f.token, f.payer, order.amount)
    }
  })
})
