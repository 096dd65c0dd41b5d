import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ethers } from 'hardhat'
import { MaxUint256, Signature, id } from 'ethers'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import {
  GAS_PER_ORDER,
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployFixture,
  makeOrder,
  openOrder,
  settleRow,
  settleRows,
  settlementEvidence,
  signOrder,
  type Fixture,
  type Order,
  type Terms,
} from '../support/fixture'

/** Permit2 as a payer, or a thief, talks to it directly. */
function permit2(f: Fixture) {
  return new ethers.Contract(
    PERMIT2_ADDRESS,
    [
      'function invalidateUnorderedNonces(uint256 wordPos, uint256 mask)',
      'function permitWitnessTransferFrom(((address token,uint256 amount) permitted,uint256 nonce,uint256 deadline) permit,(address to,uint256 requestedAmount) details,address owner,bytes32 witness,string witnessTypeString,bytes signature)',
    ],
    f.stranger,
  )
}

function everyAlteredTerms(f: Fixture): Terms[] {
  return [
    { ...f.terms, node: f.otherNode.address },
    { ...f.terms, facilitator: f.stranger.address },
    { ...f.terms, facilitatorBps: f.terms.facilitatorBps + 1n },
    { ...f.terms, verifier: f.home.token },
    { ...f.terms, evidenceKey: id('another key') },
    { ...f.terms, modelId: id('another model') },
  ]
}

function everyAlteredOrder(f: Fixture, order: Order): Order[] {
  return [
    { ...order, payer: f.otherPayer.address },
    { ...order, nonce: order.nonce + 1_000n },
    { ...order, amount: order.amount + 1n },
    { ...order, claimBy: order.claimBy - 1n },
    { ...order, job: { ...order.job, requester: f.stranger.address } },
    { ...order, job: { ...order.job, requestHash: id('another request') } },
  ]
}

describe('attacks by payers and on their signatures', () => {
  /** The node is paid in full: the order settled, claimed, and nothing is left. */
  async function expectNodePaid(f: Fixture, order: Order): Promise<void> {
    await settleRows(f, [settleRow(order, order.amount, { close: true })])
    await expect(f.escrow.claim(f.node)).to.changeTokenBalance(f.token, f.node, (order.amount * 92n) / 100n)
  }

  it('payer empties the wallet after open: the node is paid all the same (E2)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    await f.token.connect(f.payer).transfer(f.stranger, await f.token.balanceOf(f.payer))
    await expectNodePaid(f, order)
  })

  it('payer revokes the approval after open: the node is paid all the same (E2)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    await f.token.connect(f.payer).approve(PERMIT2_ADDRESS, 0)
    await expectNodePaid(f, order)
  })

  it('payer burns the nonce after open: the node is paid all the same (E2)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    await permit2(f).connect(f.payer).getFunction('invalidateUnorderedNonces')(order.nonce >> 8n, MaxUint256)
    await expectNodePaid(f, order)
  })

  it('two permits over one balance: only one becomes an order, and that one is paid in full (E2)', async () => {
    const f = await loadFixture(deployFixture)
    const balance = await f.token.balanceOf(f.payer)
    const first = await makeOrder(f, { amount: balance })
    const second = await makeOrder(f, { amount: balance })
    const signed = [await signOrder(f, f.payer, first), await signOrder(f, f.payer, second)]
    expect(await f.escrow.openBatch.staticCall(f.terms, signed, GAS_PER_ORDER)).to.deep.equal([true, false])
    await f.escrow.openBatch(f.terms, signed, GAS_PER_ORDER)
    await expectNodePaid(f, first)
  })

  it('withdrawal armed in advance: nobody takes money out before claimBy (E2)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    for (const caller of [f.payer, f.facilitator, f.network, f.modelOwner, f.stranger, f.deployer]) {
      const escrow = f.escrow.connect(caller)
      await expect(escrow.reclaim(f.terms, order)).to.be.revertedWithCustomError(f.escrow, 'OrderNotExpired')
      await expect(escrow.release(f.terms, order)).to.be.revertedWithCustomError(f.escrow, 'NotNode')
      await expect(escrow.claimTo(caller)).to.changeTokenBalance(f.token, f.escrow, 0n)
      await expect(escrow.openFunded(f.terms, order)).to.changeTokenBalance(f.token, f.escrow, 0n)
    }
    await expectNodePaid(f, order)
  })

  it('compact and long form of one signature open one order (F21, E5)', async () => {
    const f = await loadFixture(deployFixture)
    const signed = await signOrder(f, f.payer, await makeOrder(f))
    const compact = { ...signed, signature: Signature.from(signed.signature).compactSerialized }
    expect(await f.escrow.openBatch.staticCall(f.terms, [compact, signed], GAS_PER_ORDER)).to.deep.equal([true, false])
    await f.escrow.open(f.terms, compact)
    await expect(f.escrow.open(f.terms, signed)).to.changeTokenBalance(f.token, f.payer, 0n)
  })

  it('one order signed twice, with two deadlines, opens once (E5)', async () => {
    const f = await loadFixture(deployFixture)
    const order = await makeOrder(f)
    await f.escrow.open(f.terms, await signOrder(f, f.payer, order))
    const again = await signOrder(f, f.payer, order, { deadline: order.claimBy + 1n })
    await expect(f.escrow.open(f.terms, again)).to.changeTokenBalance(f.token, f.payer, 0n)
  })

  it("stranger's openFunded before the payer's permit: the permit pays for nothing any more (F13, E5)", async () => {
    const f = await loadFixture(deployFixture)
    const order = await makeOrder(f)
    const signed = await signOrder(f, f.payer, order)
    await f.token.mint(f.stranger, order.amount)
    await f.token.connect(f.stranger).approve(f.home.escrow, MaxUint256)
    await f.escrow.connect(f.stranger).openFunded(f.terms, order)

    const open = () => f.escrow.open(f.terms, signed)
    await expect(open()).to.changeTokenBalance(f.token, f.payer, 0n)
    await f.escrow.connect(f.node).release(f.terms, order)
    await expect(open()).to.changeTokenBalance(f.token, f.payer, 0n)
    await expect(f.escrow.openBatch(f.terms, [signed], GAS_PER_ORDER)).to.changeTokenBalance(f.token, f.payer, 0n)
  })

  it("stranger's openFunded after close: the closed order stays closed (F13, E5)", async () => {
    const f = await loadFixture(deployFixture)
    const { order, orderId } = await openOrder(f)
    await settleRows(f, [settleRow(order, OPG, { close: true })])
    await f.token.mint(f.stranger, order.amount)
    await f.token.connect(f.stranger).approve(f.home.escrow, MaxUint256)
    await expect(f.escrow.connect(f.stranger).openFunded(f.terms, order)).to.changeTokenBalance(f.token, f.stranger, 0n)
    expect((await f.escrow.orders(orderId)).closed).to.equal(true)
  })

  it('terms altered in each field: the signature opens none of them (E4)', async () => {
    const f = await loadFixture(deployFixture)
    const order = await makeOrder(f)
    const signed = await signOrder(f, f.payer, order)
    for (const terms of everyAlteredTerms(f)) {
      await expect(f.escrow.open(terms, signed)).to.be.revertedWithCustomError(f.permit2Errors, 'InvalidSigner')
      expect(await f.escrow.openBatch.staticCall(terms, [signed], GAS_PER_ORDER)).to.deep.equal([false])
    }
  })

  it('order altered in each field: the signature opens none of them (E4)', async () => {
    const f = await loadFixture(deployFixture)
    const order = await makeOrder(f)
    const signed = await signOrder(f, f.payer, order)
    for (const altered of everyAlteredOrder(f, order)) {
      await expect(f.escrow.open(f.terms, { ...signed, order: altered })).to.be.revertedWithCustomError(
        f.permit2Errors,
        'InvalidSigner',
      )
    }
    await expect(f.escrow.open(f.terms, { ...signed, deadline: signed.deadline + 1n })).to.be.revertedWithCustomError(
      f.permit2Errors,
      'InvalidSigner',
    )
  })

  it('terms or order altered after open: no call reaches the order under them (E4, E9)', async () => {
    const f = await loadFixture(deployFixture)
    const { order, orderId } = await openOrder(f)
    for (const terms of everyAlteredTerms(f)) {
      const node = terms.node === f.otherNode.address ? f.otherNode : f.node
      await expect(f.escrow.connect(node).release(terms, order)).to.be.revertedWithCustomError(f.escrow, 'OrderUnknown')
    }
    const rows = everyAlteredOrder(f, order).map((altered) => settleRow(altered, OPG))
    const evidence = await settlementEvidence(f, f.node, rows)
    expect(await f.escrow.settle.staticCall(f.terms, rows, evidence)).to.equal(0n)
    expect((await f.escrow.orders(orderId)).released).to.equal(0n)

    await time.increaseTo(order.claimBy)
    for (const terms of everyAlteredTerms(f)) {
      await expect(f.escrow.reclaim(terms, order)).to.be.revertedWithCustomError(f.escrow, 'OrderUnknown')
    }
    for (const altered of everyAlteredOrder(f, order)) {
      await expect(f.escrow.reclaim(f.terms, altered)).to.be.revertedWithCustomError(f.escrow, 'OrderUnknown')
    }
  })

  it("thief sends the payer's signature to Permit2 himself: only the escrow may spend it (E4)", async () => {
    const f = await loadFixture(deployFixture)
    const order = await makeOrder(f)
    const signed = await signOrder(f, f.payer, order)
    const steal = permit2(f).getFunction('permitWitnessTransferFrom')
    await expect(
      steal(
        { permitted: { token: f.home.token, amount: order.amount }, nonce: order.nonce, deadline: signed.deadline },
        { to: f.stranger.address, requestedAmount: order.amount },
        order.payer,
        id('witness'),
        'WorkOrder witness)',
        signed.signature,
      ),
    ).to.be.revertedWithCustomError(f.permit2Errors, 'InvalidSigner')
  })

  it("order of another escrow: neither its id nor the payer's signature works here (E4)", async () => {
    const f = await loadFixture(deployFixture)
    const other = await deploy<InferenceEscrow>('InferenceEscrow', [
      f.home.token,
      PERMIT2_ADDRESS,
      f.policy,
      f.registry,
    ])
    const signed = await signOrder(f, f.payer, await makeOrder(f))
    await expect(other.open(f.terms, signed)).to.be.revertedWithCustomError(f.permit2Errors, 'InvalidSigner')
  })

  it('policy and model owner raise their shares after open: the order keeps those it opened with (E9)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    await f.policy.setNetworkBps(1_000)
    await f.escrow.syncNetworkBps()
    await f.registry.connect(f.modelOwner).setRoyaltyBps(f.modelId, 2_000)
    await settleRows(f, [settleRow(order, 10n * OPG)])
    expect(await f.escrow.networkCreditWith(f.node)).to.equal((10n * OPG * 200n) / 10_000n)
    expect(await f.escrow.royalties(f.modelId)).to.equal((10n * OPG * 500n) / 10_000n)
    expect(await f.escrow.credits(f.node)).to.equal((10n * OPG * 9_200n) / 10_000n)
  })

  it('model registered only after open: the order pays it no royalty (E9)', async () => {
    const f = await loadFixture(deployFixture)
    const registry = f.registry.connect(f.stranger)
    const modelId = await registry.register.staticCall('late', 2_000)
    const terms = { ...f.terms, modelId }
    const { order } = await openOrder(f, {}, { terms })
    await registry.register('late', 2_000)
    await settleRows(f, [settleRow(order, OPG)], { terms })
    expect(await f.escrow.royalties(modelId)).to.equal(0n)
  })

  it('model transferred: the new owner claims, the old one cannot', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    await settleRows(f, [settleRow(order, OPG)])
    await f.registry.connect(f.modelOwner).offer(f.modelId, f.stranger)
    await f.registry.connect(f.stranger).accept(f.modelId)
    await expect(f.escrow.connect(f.modelOwner).claimRoyalty(f.modelId, f.modelOwner)).to.be.revertedWithCustomError(
      f.escrow,
      'NotEntitled',
    )
    await expect(f.escrow.claimRoyalty(f.modelId, f.stranger)).to.changeTokenBalance(f.token, f.stranger, OPG / 20n)
  })
})
