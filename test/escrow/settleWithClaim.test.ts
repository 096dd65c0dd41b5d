import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress } from 'ethers'
import {
  OPG,
  deployFixture,
  openOrder,
  settleRow,
  settleRows,
  settlementEvidence,
  type Fixture,
  type SettleRow,
} from '../support/fixture'
import { expectCredited } from '../support/expectations'

async function settleWithClaim(f: Fixture, rows: SettleRow[]) {
  const evidence = await settlementEvidence(f, f.node, rows)
  return f.escrow.connect(f.stranger).settleWithClaim(f.terms, rows, evidence)
}

describe('settleWithClaim', () => {
  context('when evidence proves a fee', () => {
    it('settles and pays the node its fee in one transfer', async () => {
      const f = await loadFixture(deployFixture)
      const { order, orderId } = await openOrder(f)
      const row = settleRow(order, 5n * OPG, { close: true })
      const fee = (5n * OPG * 9_200n) / 10_000n
      const sent = settleWithClaim(f, [row])
      await expect(sent)
        .to.emit(f.escrow, 'OrderSettled')
        .withArgs(orderId, 5n * OPG, row.receiptsRoot, row.receiptCount, 5n * OPG)
      await expect(sent)
        .to.emit(f.escrow, 'Claimed')
        .withArgs(f.node.address, f.node.address, fee, OPG / 10n)
      await expect(sent).to.changeTokenBalances(f.token, [f.node, f.payer, f.stranger], [fee, 5n * OPG, 0n])
      expect(await f.escrow.credits(f.node)).to.equal(0n)
    })

    it('says how many rows it settled', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      const rows = [settleRow(order, OPG), settleRow(order, OPG)]
      expect(
        await f.escrow.settleWithClaim.staticCall(f.terms, rows, await settlementEvidence(f, f.node, rows)),
      ).to.equal(1n)
    })

    it('credits everyone else as settle does', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      const sent = settleWithClaim(f, [settleRow(order, OPG)])
      await expectCredited(f, sent, {
        node: (OPG * 92n) / 100n,
        facilitator: OPG / 100n,
        royalty: OPG / 20n,
        network: OPG / 50n,
      })
      expect(await f.escrow.credits(f.facilitator)).to.equal(OPG / 100n)
      expect(await f.escrow.royalties(f.modelId)).to.equal(OPG / 20n)
      expect(await f.escrow.networkCredit()).to.equal(OPG / 50n)
      expect(await f.escrow.networkCreditWith(f.node)).to.equal(0n)
    })

    it('pays what was credited before as well', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await settleRows(f, [settleRow(order, OPG)])
      const sent = settleWithClaim(f, [settleRow(order, 3n * OPG)])
      const [fee, claimed] = [(2n * OPG * 92n) / 100n, (3n * OPG * 92n) / 100n]
      await expectCredited(f, sent, { node: fee, facilitator: OPG / 50n, royalty: OPG / 10n, network: OPG / 25n })
      await expect(sent)
        .to.emit(f.escrow, 'Claimed')
        .withArgs(f.node.address, f.node.address, claimed, (3n * OPG) / 50n)
      await expect(sent).to.changeTokenBalance(f.token, f.node, claimed)
      expect(await f.escrow.credits(f.node)).to.equal(0n)
      await expect(f.escrow.claim(f.node)).to.changeTokenBalance(f.token, f.node, 0n)
    })

    it('pays the facilitator share of the same call too, where the node is the facilitator', async () => {
      const f = await loadFixture(deployFixture)
      const terms = { ...f.terms, facilitator: f.node.address }
      const { order } = await openOrder(f, {}, { terms })
      const rows = [settleRow(order, OPG)]
      const evidence = await settlementEvidence(f, f.node, rows, { terms })
      await expect(f.escrow.settleWithClaim(terms, rows, evidence)).to.changeTokenBalance(
        f.token,
        f.node,
        (OPG * 93n) / 100n,
      )
      expect(await f.escrow.credits(f.node)).to.equal(0n)
    })
  })

  context('when nothing new was settled', () => {
    it('still pays what the node had, or nothing at all', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await settleRows(f, [settleRow(order, OPG)])
      await expect(settleWithClaim(f, [settleRow(order, OPG)])).to.changeTokenBalance(
        f.token,
        f.node,
        (OPG * 92n) / 100n,
      )
      await expect(settleWithClaim(f, [settleRow(order, OPG)])).not.to.emit(f.token, 'Transfer')
    })
  })

  context('when evidence does not hold', () => {
    it('reverts and pays nobody', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await settleRows(f, [settleRow(order, OPG)])
      await expect(f.escrow.settleWithClaim(f.terms, [settleRow(order, 2n * OPG)], '0x')).to.be.revertedWithCustomError(
        f.escrow,
        'EvidenceRefused',
      )
      expect(await f.escrow.credits(f.node)).not.to.equal(0n)
      expect(await f.escrow.credits(ZeroAddress)).to.equal(0n)
    })
  })
})
