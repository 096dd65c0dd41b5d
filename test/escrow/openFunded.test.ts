import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256, ZeroAddress } from 'ethers'
import {
  NETWORK_BPS,
  OPG,
  ROYALTY_BPS,
  deployFixture,
  makeOrder,
  nodeOnly,
  now,
  orderIdOf,
  type Order,
} from '../support/fixture'

describe('openFunded', () => {
  async function fundedFixture() {
    const f = await deployFixture()
    await f.token.mint(f.stranger.address, 100n * OPG)
    await f.token.connect(f.stranger).approve(f.home.escrow, MaxUint256)
    return { ...f, escrow: f.escrow.connect(f.stranger) }
  }

  context('when the caller has the money', () => {
    it("opens the payer's order with the caller's tokens", async () => {
      const f = await loadFixture(fundedFixture)
      const order = await makeOrder(f)
      const orderId = orderIdOf(f.home, f.terms, order)
      expect(await f.escrow.openFunded.staticCall(f.terms, order)).to.equal(true)

      const sent = f.escrow.openFunded(f.terms, order)
      await expect(sent)
        .to.emit(f.escrow, 'OrderOpened')
        .withArgs(orderId, f.payer.address, f.node.address, order.amount, order.claimBy)
      await expect(sent).to.changeTokenBalances(
        f.token,
        [f.payer, f.stranger, f.escrow],
        [0n, -order.amount, order.amount],
      )
      expect([...(await f.escrow.orders(orderId))]).to.deep.equal([
        order.amount,
        0n,
        0n,
        NETWORK_BPS,
        ROYALTY_BPS,
        await now(),
        false,
      ])
    })

    it('sends the rest to the payer, not to the funder', async () => {
      const f = await loadFixture(fundedFixture)
      const order = await makeOrder(f)
      await f.escrow.openFunded(f.terms, order)
      await expect(f.escrow.connect(f.node).release(f.terms, order)).to.changeTokenBalances(
        f.token,
        [f.payer, f.stranger],
        [order.amount, 0n],
      )
    })
  })

  context('when the order is known', () => {
    it('moves nothing, be it open or closed', async () => {
      const f = await loadFixture(fundedFixture)
      const order = await makeOrder(f)
      await f.escrow.openFunded(f.terms, order)
      expect(await f.escrow.openFunded.staticCall(f.terms, order)).to.equal(false)
      await expect(f.escrow.openFunded(f.terms, order)).to.changeTokenBalance(f.token, f.stranger, 0n)
      await f.escrow.connect(f.node).release(f.terms, order)
      await expect(f.escrow.openFunded(f.terms, order)).to.changeTokenBalance(f.token, f.stranger, 0n)
    })
  })

  context('when the order cannot be opened', () => {
    it('refuses it with the same errors as open', async () => {
      const f = await loadFixture(fundedFixture)
      const at = (await now()) + 100n
      const cases: { changes: Partial<Order>; error: string }[] = [
        { changes: { amount: 0n }, error: 'AmountZero' },
        { changes: { payer: ZeroAddress }, error: 'PayerInvalid' },
        { changes: { payer: f.home.escrow }, error: 'PayerInvalid' },
        { changes: { claimBy: at }, error: 'OrderExpired' },
        { changes: { claimBy: at + 90n * 86_400n + 100n }, error: 'ClaimByTooFar' },
      ]
      await time.increaseTo(at)
      for (const { changes, error } of cases) {
        await expect(f.escrow.openFunded(f.terms, await makeOrder(f, changes))).to.be.revertedWithCustomError(
          f.escrow,
          error,
        )
      }
    })

    it('refuses terms with the same errors as open', async () => {
      const f = await loadFixture(fundedFixture)
      const order = await makeOrder(f)
      const cases = [
        { terms: { ...nodeOnly(f.terms), node: ZeroAddress }, error: 'NodeInvalid' },
        { terms: { ...f.terms, verifier: f.stranger.address }, error: 'VerifierWithoutCode' },
        { terms: { ...f.terms, facilitator: ZeroAddress }, error: 'FacilitatorBpsInvalid' },
      ]
      for (const { terms, error } of cases) {
        await expect(f.escrow.openFunded(terms, order)).to.be.revertedWithCustomError(f.escrow, error)
      }
    })

    it('refuses a caller without allowance or money', async () => {
      const f = await loadFixture(fundedFixture)
      await expect(f.escrow.connect(f.payer).openFunded(f.terms, await makeOrder(f))).to.be.revertedWithCustomError(
        f.token,
        'ERC20InsufficientAllowance',
      )
      await expect(
        f.escrow.openFunded(f.terms, await makeOrder(f, { amount: 101n * OPG })),
      ).to.be.revertedWithCustomError(f.token, 'ERC20InsufficientBalance')
    })
  })
})
