import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress, id } from 'ethers'
import { GAS_PER_ORDER, deployFixture, makeOrder, nodeOnly, orderIdOf, signOrder } from '../support/fixture'
import { routedTerms } from '../support/routed'

describe('opening of routed orders', () => {
  context('when no node is named', () => {
    it('opens it, with a facilitator to route it', async () => {
      const f = await loadFixture(deployFixture)
      const terms = routedTerms(f.terms)
      const order = await makeOrder(f)
      const sent = f.escrow.open(terms, await signOrder(f, f.payer, order, { terms }))
      const orderId = orderIdOf(f.home, terms, order)
      await expect(sent)
        .to.emit(f.escrow, 'OrderOpened')
        .withArgs(orderId, f.payer.address, ZeroAddress, order.amount, order.claimBy)
      const state = await f.escrow.orders(orderId)
      expect([state.amount, state.released, state.reserved]).to.deep.equal([order.amount, 0n, 0n])
    })

    it('opens it with a facilitator that takes no share', async () => {
      const f = await loadFixture(deployFixture)
      const terms = { ...routedTerms(f.terms), facilitatorBps: 0n }
      await expect(f.escrow.open(terms, await signOrder(f, f.payer, await makeOrder(f), { terms }))).to.emit(
        f.escrow,
        'OrderOpened',
      )
    })

    it('refuses it without a facilitator, by every way in', async () => {
      const f = await loadFixture(deployFixture)
      const terms = routedTerms(nodeOnly(f.terms))
      const signed = await signOrder(f, f.payer, await makeOrder(f), { terms })
      const funded = { order: signed.order, data: '0x' }
      const calls = [
        () => f.escrow.open(terms, signed),
        () => f.escrow.openBatch(terms, [signed], GAS_PER_ORDER),
        () => f.escrow.openFunded(terms, signed.order),
        () => f.escrow.openVia(f.home.token, terms, funded),
        () => f.escrow.openBatchVia(f.home.token, terms, [funded], GAS_PER_ORDER),
      ]
      for (const call of calls) {
        await expect(call()).to.be.revertedWithCustomError(f.escrow, 'NodeInvalid').withArgs(ZeroAddress)
      }
    })

    it('refuses one that is for one request: slices would sell it to many nodes (F3)', async () => {
      const f = await loadFixture(deployFixture)
      const terms = routedTerms(f.terms)
      const order = await makeOrder(f, { job: { requester: f.requester.address, requestHash: id('request') } })
      const signed = await signOrder(f, f.payer, order, { terms })
      const orderId = orderIdOf(f.home, terms, order)
      await expect(f.escrow.open(terms, signed))
        .to.be.revertedWithCustomError(f.escrow, 'RoutedOrderPinned')
        .withArgs(orderId, id('request'))
      await expect(f.escrow.openFunded(terms, order)).to.be.revertedWithCustomError(f.escrow, 'RoutedOrderPinned')
      const good = await signOrder(f, f.payer, await makeOrder(f), { terms })
      const batch = f.escrow.openBatch(terms, [signed, good], GAS_PER_ORDER)
      await expect(batch)
        .to.emit(f.escrow, 'OpenFailed')
        .withArgs(orderId, f.escrow.interface.getError('RoutedOrderPinned')?.selector)
      await expect(batch).to.changeTokenBalance(f.token, f.escrow, good.order.amount)
    })
  })
})
