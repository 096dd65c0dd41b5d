import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress } from 'ethers'
import type { ExactFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/ExactFunder'
import {
  DAY,
  NETWORK_BPS,
  OPG,
  ROYALTY_BPS,
  deploy,
  deployFixture,
  makeOrder,
  now,
  orderIdOf,
  settleRow,
  settleRows,
  type Order,
  type Terms,
} from '../support/fixture'

/** Ample for a funder that transfers. */
const GAS_PER_ORDER = 100_000n

async function funderFixture() {
  const f = await deployFixture()
  const funder = await deploy<ExactFunder>('ExactFunder', [f.home.token])
  await f.token.mint(funder, 1_000n * OPG)
  return { ...f, funder, escrow: f.escrow.connect(f.stranger) }
}

type FunderFixture = Awaited<ReturnType<typeof funderFixture>>

async function fundedOrder(f: FunderFixture, changes: Partial<Order> & { readonly data?: string } = {}) {
  const { data = '0x', ...rest } = changes
  const order = await makeOrder(f, rest)
  const orderId = orderIdOf(f.home, f.terms, order)
  await f.funder.expectCall(f.funder.interface.encodeFunctionData('fund', [orderId, f.terms, order, data]))
  return { order, orderId, funded: { order, data } }
}

describe('openVia', () => {
  context('when the funder delivers', () => {
    it("opens the payer's order with the funder's tokens, whoever calls", async () => {
      const f = await loadFixture(funderFixture)
      const { order, orderId, funded } = await fundedOrder(f)
      expect(await f.escrow.openVia.staticCall(f.funder, f.terms, funded)).to.equal(true)
      const sent = f.escrow.openVia(f.funder, f.terms, funded)
      await expect(sent)
        .to.emit(f.escrow, 'OrderOpened')
        .withArgs(orderId, f.payer.address, f.node.address, order.amount, order.claimBy)
      await expect(sent).to.changeTokenBalances(
        f.token,
        [f.payer, f.stranger, f.funder, f.escrow],
        [0n, 0n, -order.amount, order.amount],
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

    for (const size of [0, 1, 31, 32, 33, 5_000]) {
      it(`hands it id, terms, order and ${String(size)} bytes of data as they were given`, async () => {
        const f = await loadFixture(funderFixture)
        const { funded } = await fundedOrder(f, { data: `0x${'d7'.repeat(size)}` })
        await expect(
          f.escrow.openVia(f.funder, f.terms, { ...funded, data: `${funded.data}00` }),
        ).to.be.revertedWithCustomError(f.funder, 'CallUnexpected')
        await expect(f.escrow.openVia(f.funder, f.terms, funded)).to.emit(f.escrow, 'OrderOpened')
      })
    }

    for (const amount of [1n, 2n ** 96n - 1n]) {
      it(`takes an amount of ${String(amount)}`, async () => {
        const f = await loadFixture(funderFixture)
        await f.token.mint(f.funder, amount)
        const { orderId, funded } = await fundedOrder(f, { amount })
        await f.escrow.openVia(f.funder, f.terms, funded)
        expect((await f.escrow.orders(orderId)).amount).to.equal(amount)
      })
    }

    it('sends the rest to the payer, not to the funder', async () => {
      const f = await loadFixture(funderFixture)
      const { order, funded } = await fundedOrder(f)
      await f.escrow.openVia(f.funder, f.terms, funded)
      await expect(settleRows(f, [settleRow(order, OPG, { close: true })])).to.changeTokenBalances(
        f.token,
        [f.payer, f.funder],
        [9n * OPG, 0n],
      )
    })

    it('opens routed orders too', async () => {
      const base = await loadFixture(funderFixture)
      const f = { ...base, terms: { ...base.terms, node: ZeroAddress } }
      const { orderId, funded } = await fundedOrder(f)
      await f.escrow.openVia(f.funder, f.terms, funded)
      expect((await f.escrow.orders(orderId)).amount).to.equal(10n * OPG)
    })
  })

  context('when the order is known', () => {
    it('asks nobody and moves nothing, be it open or closed (E5)', async () => {
      const f = await loadFixture(funderFixture)
      const { order, funded } = await fundedOrder(f)
      await f.escrow.openVia(f.funder, f.terms, funded)
      const expectNothing = async () => {
        for (const funder of [f.funder, f.token, f.stranger]) {
          expect(await f.escrow.openVia.staticCall(funder, f.terms, funded)).to.equal(false)
          expect(await f.escrow.openBatchVia.staticCall(funder, f.terms, [funded], GAS_PER_ORDER)).to.deep.equal([
            false,
          ])
          const sent = f.escrow.openBatchVia(funder, f.terms, [funded], GAS_PER_ORDER)
          await expect(sent).not.to.emit(f.escrow, 'OpenFailed')
          await expect(sent).to.changeTokenBalance(f.token, f.escrow, 0n)
        }
      }
      await expectNothing()
      await f.escrow.connect(f.node).release(f.terms, order)
      await expectNothing()
    })
  })

  context('when the order cannot be opened', () => {
    it('refuses it with the same errors as open, before the funder is asked', async () => {
      const f = await loadFixture(funderFixture)
      const at = (await now()) + 100n
      const cases: { changes: Partial<Order>; error: string }[] = [
        { changes: { amount: 0n }, error: 'AmountZero' },
        { changes: { payer: ZeroAddress }, error: 'PayerInvalid' },
        { changes: { payer: f.home.escrow }, error: 'PayerInvalid' },
        { changes: { claimBy: at }, error: 'OrderExpired' },
        { changes: { claimBy: at + 90n * DAY + 100n }, error: 'ClaimByTooFar' },
      ]
      await time.increaseTo(at)
      for (const { changes, error } of cases) {
        const { orderId, funded } = await fundedOrder(f, changes)
        await expect(f.escrow.openVia(f.funder, f.terms, funded)).to.be.revertedWithCustomError(f.escrow, error)
        const sent = f.escrow.openBatchVia(f.funder, f.terms, [funded], GAS_PER_ORDER)
        await expect(sent)
          .to.emit(f.escrow, 'OpenFailed')
          .withArgs(orderId, f.escrow.interface.getError(error)?.selector)
        await expect(sent).to.changeTokenBalance(f.token, f.escrow, 0n)
      }
    })

    it('refuses terms with the same errors as open', async () => {
      const f = await loadFixture(funderFixture)
      const { funded } = await fundedOrder(f)
      const cases: { terms: Terms; error: string }[] = [
        { terms: { ...f.terms, node: f.home.escrow }, error: 'NodeInvalid' },
        { terms: { ...f.terms, verifier: f.stranger.address }, error: 'VerifierWithoutCode' },
        { terms: { ...f.terms, facilitator: ZeroAddress }, error: 'FacilitatorBpsInvalid' },
        { terms: { ...f.terms, facilitatorBps: 2_001n }, error: 'FacilitatorBpsInvalid' },
      ]
      for (const { terms, error } of cases) {
        await expect(f.escrow.openVia(f.funder, terms, funded)).to.be.revertedWithCustomError(f.escrow, error)
        await expect(f.escrow.openBatchVia(f.funder, terms, [funded], GAS_PER_ORDER)).to.be.revertedWithCustomError(
          f.escrow,
          error,
        )
      }
    })
  })
})

describe('openBatchVia', () => {
  for (const count of [0, 1, 12]) {
    it(`opens ${String(count)} orders, each with its own data, and takes the sum`, async () => {
      const f = await loadFixture(funderFixture)
      const orders = []
      for (let i = 0; i < count; i++)
        orders.push(await fundedOrder(f, { amount: BigInt(i + 1) * OPG, data: `0x${'a1'.repeat(i * 7)}` }))
      const funded = orders.map((one) => one.funded)
      const total = orders.reduce((sum, { order }) => sum + order.amount, 0n)
      expect(await f.escrow.openBatchVia.staticCall(f.funder, f.terms, funded, GAS_PER_ORDER)).to.deep.equal(
        orders.map(() => true),
      )
      const sent = f.escrow.openBatchVia(f.funder, f.terms, funded, GAS_PER_ORDER)
      await expect(sent).to.changeTokenBalances(f.token, [f.funder, f.escrow], [-total, total])
      await expect(sent).not.to.emit(f.escrow, 'OpenFailed')
      for (const { order, orderId } of orders) {
        await expect(sent)
          .to.emit(f.escrow, 'OrderOpened')
          .withArgs(orderId, f.payer.address, f.node.address, order.amount, order.claimBy)
        const state = await f.escrow.orders(orderId)
        expect([state.amount, state.networkBps, state.royaltyBps]).to.deep.equal([
          order.amount,
          NETWORK_BPS,
          ROYALTY_BPS,
        ])
      }
    })
  }

  it('reports an order that the funder refuses, and opens the others and it later (E8)', async () => {
    const f = await loadFixture(funderFixture)
    const [first, second, third] = [await fundedOrder(f), await fundedOrder(f), await fundedOrder(f)]
    const bad = { ...second.funded, data: '0xff' }
    const batch = [first.funded, bad, third.funded]
    expect(await f.escrow.openBatchVia.staticCall(f.funder, f.terms, batch, GAS_PER_ORDER)).to.deep.equal([
      true,
      false,
      true,
    ])
    const sent = f.escrow.openBatchVia(f.funder, f.terms, batch, GAS_PER_ORDER)
    await expect(sent)
      .to.emit(f.escrow, 'OpenFailed')
      .withArgs(second.orderId, f.escrow.interface.getError('PullFailed')?.selector)
    await expect(sent).to.changeTokenBalance(f.token, f.escrow, 20n * OPG)
    expect((await f.escrow.orders(second.orderId)).openedAt).to.equal(0n)
    await expect(f.escrow.openBatchVia(f.funder, f.terms, [second.funded], GAS_PER_ORDER)).to.emit(
      f.escrow,
      'OrderOpened',
    )
  })

  it('opens an order once that stands twice in the batch (E5)', async () => {
    const f = await loadFixture(funderFixture)
    const { funded } = await fundedOrder(f)
    const batch = [funded, funded]
    expect(await f.escrow.openBatchVia.staticCall(f.funder, f.terms, batch, GAS_PER_ORDER)).to.deep.equal([true, false])
    await expect(f.escrow.openBatchVia(f.funder, f.terms, batch, GAS_PER_ORDER)).to.changeTokenBalance(
      f.token,
      f.escrow,
      10n * OPG,
    )
  })
})
