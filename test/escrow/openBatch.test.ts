import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress } from 'ethers'
import {
  DAY,
  GAS_PER_ORDER,
  NETWORK_BPS,
  OPG,
  ROYALTY_BPS,
  createPayer,
  deployFixture,
  makeOrder,
  nodeOnly,
  now,
  orderIdOf,
  signOrder,
  type Fixture,
  type Order,
  type SignedOrder,
} from '../support/fixture'

async function signMany(f: Fixture, count: number): Promise<SignedOrder[]> {
  const signed: SignedOrder[] = []
  for (let i = 0; i < count; i++)
    signed.push(await signOrder(f, f.payer, await makeOrder(f, { amount: BigInt(i + 1) * OPG })))
  return signed
}

function selectorOf(
  f: Fixture,
  name: 'AmountZero' | 'PayerInvalid' | 'OrderExpired' | 'ClaimByTooFar' | 'PullFailed',
): string {
  const error = f.escrow.interface.getError(name)
  if (error === null) throw new TypeError(`The escrow has no error ${name}`)
  return error.selector
}

describe('openBatch', () => {
  for (const count of [0, 1, 25]) {
    context(`with ${String(count)} orders`, () => {
      it('opens every one and takes the sum', async () => {
        const f = await loadFixture(deployFixture)
        const signed = await signMany(f, count)
        const total = signed.reduce((sum, { order }) => sum + order.amount, 0n)
        expect(await f.escrow.openBatch.staticCall(f.terms, signed, GAS_PER_ORDER)).to.deep.equal(
          signed.map(() => true),
        )

        const sent = f.escrow.connect(f.facilitator).openBatch(f.terms, signed, GAS_PER_ORDER)
        await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.escrow], [-total, total])
        for (const { order } of signed) {
          const orderId = orderIdOf(f.home, f.terms, order)
          await expect(sent)
            .to.emit(f.escrow, 'OrderOpened')
            .withArgs(orderId, f.payer.address, f.node.address, order.amount, order.claimBy)
          const state = await f.escrow.orders(orderId)
          expect([...state]).to.deep.equal([order.amount, 0n, 0n, NETWORK_BPS, ROYALTY_BPS, await now(), false])
        }
        await expect(sent).not.to.emit(f.escrow, 'OpenFailed')
      })
    })
  }

  context('with orders of several payers and signatures of different lengths', () => {
    it('opens each with its own signature', async () => {
      const f = await loadFixture(deployFixture)
      const signed: SignedOrder[] = []
      for (let i = 0; i < 4; i++) {
        const payer = await createPayer(f.token, `batch payer ${String(i)}`)
        const order = await makeOrder(f, { payer: payer.address, amount: BigInt(i + 1) })
        signed.push(await signOrder(f, payer, order))
        // Between two honest ones: rubbish that is longer, shorter, and empty.
        const rubbish = await makeOrder(f, { payer: payer.address })
        signed.push({
          order: rubbish,
          deadline: rubbish.claimBy,
          signature: `0x${'ab'.repeat([200, 1, 0, 64][i] ?? 0)}`,
        })
      }
      const opened = await f.escrow.openBatch.staticCall(f.terms, signed, GAS_PER_ORDER)
      expect(opened).to.deep.equal([true, false, true, false, true, false, true, false])
      await expect(f.escrow.openBatch(f.terms, signed, GAS_PER_ORDER)).to.changeTokenBalance(f.token, f.escrow, 10n)
    })
  })

  context('when orders are known', () => {
    it('opens an order once that stands twice in the batch', async () => {
      const f = await loadFixture(deployFixture)
      const [signed] = await signMany(f, 1)
      if (!signed) throw new TypeError('no order')
      expect(await f.escrow.openBatch.staticCall(f.terms, [signed, signed], GAS_PER_ORDER)).to.deep.equal([true, false])
      await expect(f.escrow.openBatch(f.terms, [signed, signed], GAS_PER_ORDER)).to.changeTokenBalance(
        f.token,
        f.escrow,
        OPG,
      )
    })

    it('passes over an open order in silence', async () => {
      const f = await loadFixture(deployFixture)
      const signed = await signMany(f, 2)
      await f.escrow.openBatch(f.terms, signed.slice(0, 1), GAS_PER_ORDER)
      const again = f.escrow.openBatch(f.terms, signed, GAS_PER_ORDER)
      await expect(again).not.to.emit(f.escrow, 'OpenFailed')
      await expect(again).to.changeTokenBalance(f.token, f.escrow, 2n * OPG)
    })
  })

  context('when one order cannot be opened', () => {
    async function expectSkipped(f: Fixture, bad: SignedOrder, reason: string): Promise<void> {
      const [first, last] = await signMany(f, 2)
      if (!first || !last) throw new TypeError('no orders')
      const sent = f.escrow.openBatch(f.terms, [first, bad, last], GAS_PER_ORDER)
      await expect(sent)
        .to.emit(f.escrow, 'OpenFailed')
        .withArgs(orderIdOf(f.home, f.terms, bad.order), reason)
      await expect(sent).to.changeTokenBalance(f.token, f.escrow, 3n * OPG)
      expect((await f.escrow.orders(orderIdOf(f.home, f.terms, bad.order))).openedAt).to.equal(0n)
      expect((await f.escrow.orders(orderIdOf(f.home, f.terms, last.order))).openedAt).to.equal(await now())
    }

    it('reports an amount of zero', async () => {
      const f = await loadFixture(deployFixture)
      const bad = await signOrder(f, f.payer, await makeOrder(f, { amount: 0n }))
      await expectSkipped(f, bad, selectorOf(f, 'AmountZero'))
    })

    it('reports a payer that is zero or the escrow', async () => {
      const f = await loadFixture(deployFixture)
      for (const payer of [ZeroAddress, f.home.escrow]) {
        const bad = await signOrder(f, f.payer, await makeOrder(f, { payer }))
        await expectSkipped(f, bad, selectorOf(f, 'PayerInvalid'))
      }
    })

    it('reports an order at claimBy, and opens one a second before', async () => {
      const f = await loadFixture(deployFixture)
      const at = (await now()) + 100n
      const bad = await signOrder(f, f.payer, await makeOrder(f, { claimBy: at }))
      const good = await signOrder(f, f.payer, await makeOrder(f, { claimBy: at + 1n }))
      await time.setNextBlockTimestamp(at)
      const sent = f.escrow.openBatch(f.terms, [bad, good], GAS_PER_ORDER)
      await expect(sent)
        .to.emit(f.escrow, 'OpenFailed')
        .withArgs(orderIdOf(f.home, f.terms, bad.order), selectorOf(f, 'OrderExpired'))
      await expect(sent).to.changeTokenBalance(f.token, f.escrow, 10n * OPG)
    })

    it('reports claimBy beyond 90 days, and opens one at 90 days (F10)', async () => {
      const f = await loadFixture(deployFixture)
      const at = (await now()) + 100n
      const bad = await signOrder(f, f.payer, await makeOrder(f, { claimBy: at + 90n * DAY + 1n }))
      const good = await signOrder(f, f.payer, await makeOrder(f, { claimBy: at + 90n * DAY }))
      await time.setNextBlockTimestamp(at)
      const sent = f.escrow.openBatch(f.terms, [bad, good], GAS_PER_ORDER)
      await expect(sent)
        .to.emit(f.escrow, 'OpenFailed')
        .withArgs(orderIdOf(f.home, f.terms, bad.order), selectorOf(f, 'ClaimByTooFar'))
      await expect(sent).to.changeTokenBalance(f.token, f.escrow, 10n * OPG)
    })

    it("reports a refused pull: another's signature, a used nonce, no money, a deadline that passed", async () => {
      const f = await loadFixture(deployFixture)
      const used = await makeOrder(f)
      await f.escrow.open(f.terms, await signOrder(f, f.payer, used))
      const bad = [
        await signOrder(f, f.stranger, await makeOrder(f)),
        await signOrder(f, f.payer, { ...used, amount: 1n }),
        await signOrder(f, f.payer, await makeOrder(f, { amount: 2_000_000n * OPG })),
        await signOrder(f, f.payer, await makeOrder(f), { deadline: (await now()) - 1n }),
      ]
      for (const signed of bad) await expectSkipped(f, signed, selectorOf(f, 'PullFailed'))
    })

    it('is not final: the order opens later', async () => {
      const f = await loadFixture(deployFixture)
      const amount = 2_000_000n * OPG
      const signed = await signOrder(f, f.payer, await makeOrder(f, { amount }))
      await f.escrow.openBatch(f.terms, [signed], GAS_PER_ORDER)
      await f.token.mint(f.payer.address, amount)
      await expect(f.escrow.openBatch(f.terms, [signed], GAS_PER_ORDER)).to.changeTokenBalance(
        f.token,
        f.escrow,
        amount,
      )
    })
  })

  context('when the terms cannot be', () => {
    it('reverts, since no order of them can be opened', async () => {
      const f = await loadFixture(deployFixture)
      const order: Order = await makeOrder(f)
      const cases = [
        { terms: { ...nodeOnly(f.terms), node: ZeroAddress }, error: 'NodeInvalid' },
        { terms: { ...f.terms, node: f.home.escrow }, error: 'NodeInvalid' },
        { terms: { ...f.terms, verifier: f.stranger.address }, error: 'VerifierWithoutCode' },
        { terms: { ...f.terms, facilitator: ZeroAddress }, error: 'FacilitatorBpsInvalid' },
        { terms: { ...f.terms, facilitatorBps: 2_001n }, error: 'FacilitatorBpsInvalid' },
      ]
      for (const { terms, error } of cases) {
        const signed = await signOrder(f, f.payer, order, { terms })
        await expect(f.escrow.openBatch(terms, [signed], GAS_PER_ORDER)).to.be.revertedWithCustomError(f.escrow, error)
      }
    })
  })
})
