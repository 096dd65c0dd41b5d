import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { OPG, deployFixture, makeOrder, now, openOrder, orderIdOf, settleRow, settleRows } from '../support/fixture'

describe('release', () => {
  context('when the node gives the order back', () => {
    it('returns the whole amount and closes', async () => {
      const f = await loadFixture(deployFixture)
      const { order, orderId } = await openOrder(f)
      expect(await f.escrow.connect(f.node).release.staticCall(f.terms, order)).to.equal(order.amount)
      const sent = f.escrow.connect(f.node).release(f.terms, order)
      await expect(sent).to.emit(f.escrow, 'OrderReleased').withArgs(orderId, order.amount)
      await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.escrow], [order.amount, -order.amount])
      expect((await f.escrow.orders(orderId)).closed).to.equal(true)
    })

    it('returns what was not released, and keeps the node its fee', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await settleRows(f, [settleRow(order, 4n * OPG)])
      await expect(f.escrow.connect(f.node).release(f.terms, order)).to.changeTokenBalance(f.token, f.payer, 6n * OPG)
      expect(await f.escrow.credits(f.node)).to.equal((4n * OPG * 92n) / 100n)
    })

    it('transfers nothing where nothing is left', async () => {
      const f = await loadFixture(deployFixture)
      const { order, orderId } = await openOrder(f)
      await settleRows(f, [settleRow(order, order.amount)])
      const sent = f.escrow.connect(f.node).release(f.terms, order)
      await expect(sent).to.emit(f.escrow, 'OrderReleased').withArgs(orderId, 0n)
      await expect(sent).not.to.emit(f.token, 'Transfer')
    })

    it('works before and after claimBy alike: it only ever serves the payer', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await time.increaseTo(order.claimBy)
      await expect(f.escrow.connect(f.node).release(f.terms, order)).to.changeTokenBalance(
        f.token,
        f.payer,
        order.amount,
      )
    })
  })

  context('when somebody else calls', () => {
    it('refuses the payer, the facilitator and strangers', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      for (const caller of [f.payer, f.facilitator, f.stranger, f.otherNode]) {
        await expect(f.escrow.connect(caller).release(f.terms, order))
          .to.be.revertedWithCustomError(f.escrow, 'NotNode')
          .withArgs(f.node.address, caller.address)
      }
    })

    it('knows no order under terms that name the caller as node', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      const terms = { ...f.terms, node: f.stranger.address }
      await expect(f.escrow.connect(f.stranger).release(terms, order))
        .to.be.revertedWithCustomError(f.escrow, 'OrderUnknown')
        .withArgs(orderIdOf(f.home, terms, order))
    })
  })

  context('when there is no open order', () => {
    it('refuses one that is unknown, and one that is closed', async () => {
      const f = await loadFixture(deployFixture)
      const unknown = await makeOrder(f)
      const escrow = f.escrow.connect(f.node)
      await expect(escrow.release(f.terms, unknown))
        .to.be.revertedWithCustomError(f.escrow, 'OrderUnknown')
        .withArgs(orderIdOf(f.home, f.terms, unknown))
      const { order, orderId } = await openOrder(f)
      await escrow.release(f.terms, order)
      await expect(escrow.release(f.terms, order))
        .to.be.revertedWithCustomError(f.escrow, 'OrderClosed')
        .withArgs(orderId)
    })
  })
})

describe('reclaim', () => {
  for (const caller of ['payer', 'stranger', 'node'] as const) {
    it(`returns the rest to the payer when the ${caller} calls (E6)`, async () => {
      const f = await loadFixture(deployFixture)
      const { order, orderId } = await openOrder(f)
      await settleRows(f, [settleRow(order, 4n * OPG)])
      await time.increaseTo(order.claimBy)
      const escrow = f.escrow.connect(f[caller])
      expect(await escrow.reclaim.staticCall(f.terms, order)).to.equal(6n * OPG)
      const sent = escrow.reclaim(f.terms, order)
      await expect(sent)
        .to.emit(f.escrow, 'OrderReclaimed')
        .withArgs(orderId, 6n * OPG)
      await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.escrow], [6n * OPG, -6n * OPG])
      expect((await f.escrow.orders(orderId)).closed).to.equal(true)
    })
  }

  it('refuses one second before claimBy', async () => {
    const f = await loadFixture(deployFixture)
    const claimBy = (await now()) + 1_000n
    const { order, orderId } = await openOrder(f, { claimBy })
    await time.setNextBlockTimestamp(claimBy - 1n)
    await expect(f.escrow.reclaim(f.terms, order))
      .to.be.revertedWithCustomError(f.escrow, 'OrderNotExpired')
      .withArgs(orderId, claimBy, claimBy - 1n)
  })

  for (const after of [0n, 1n]) {
    it(`works ${String(after)} seconds after claimBy`, async () => {
      const f = await loadFixture(deployFixture)
      const claimBy = (await now()) + 1_000n
      const { order } = await openOrder(f, { claimBy })
      await time.setNextBlockTimestamp(claimBy + after)
      await expect(f.escrow.reclaim(f.terms, order)).to.changeTokenBalance(f.token, f.payer, order.amount)
    })
  }

  it('refuses one that is unknown, and one that is closed', async () => {
    const f = await loadFixture(deployFixture)
    const unknown = await makeOrder(f)
    const { order, orderId } = await openOrder(f)
    await time.increaseTo(order.claimBy + 1_000n)
    await expect(f.escrow.reclaim(f.terms, unknown))
      .to.be.revertedWithCustomError(f.escrow, 'OrderUnknown')
      .withArgs(orderIdOf(f.home, f.terms, unknown))
    await f.escrow.reclaim(f.terms, order)
    await expect(f.escrow.reclaim(f.terms, order))
      .to.be.revertedWithCustomError(f.escrow, 'OrderClosed')
      .withArgs(orderId)
  })
})
