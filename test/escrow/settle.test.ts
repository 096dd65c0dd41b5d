import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { Wallet, id, toBeHex, zeroPadValue } from 'ethers'
import {
  FACILITATOR_BPS,
  NETWORK_BPS,
  OPG,
  ROYALTY_BPS,
  deployFixture,
  makeOrder,
  now,
  openOrder,
  orderIdOf,
  settleRow,
  settleRows,
  settlementEvidence,
  type Fixture,
  type SettleRow,
} from '../support/fixture'
import { expectCredited } from '../support/expectations'
import { sharesOfCall } from '../support/shares'
import { batchDigest } from '../support/typedData'

const MAX_96 = 2n ** 96n - 1n
const Skip = { Unknown: 1n, Closed: 2n, Late: 3n, Overdrawn: 4n, Stale: 5n, NotSingle: 6n } as const

function sharesFor(before: bigint, cumulativeFee: bigint) {
  return sharesOfCall([{ before, cumulativeFee, networkBps: NETWORK_BPS, royaltyBps: ROYALTY_BPS }], FACILITATOR_BPS)
}

describe('settle', () => {
  context('when evidence proves a fee', () => {
    it('credits node, facilitator, model and network, and leaves the rest locked', async () => {
      const f = await loadFixture(deployFixture)
      const { order, orderId } = await openOrder(f)
      const row = settleRow(order, 4n * OPG)
      const sent = settleRows(f, [row])
      await expect(sent)
        .to.emit(f.escrow, 'OrderSettled')
        .withArgs(orderId, 4n * OPG, row.receiptsRoot, row.receiptCount, 0n)
      const shares = sharesFor(0n, 4n * OPG)
      expect(shares).to.deep.equal({
        node: (4n * OPG * 9_200n) / 10_000n,
        facilitator: (4n * OPG * 100n) / 10_000n,
        royalty: (4n * OPG * 500n) / 10_000n,
        network: (4n * OPG * 200n) / 10_000n,
      })
      await expectCredited(f, sent, shares)
      expect(await f.escrow.credits(f.node)).to.equal(shares.node)
      expect(await f.escrow.credits(f.facilitator)).to.equal(shares.facilitator)
      expect(await f.escrow.royalties(f.modelId)).to.equal(shares.royalty)
      expect(await f.escrow.networkCreditWith(f.node)).to.equal(shares.network)
      expect(await f.escrow.networkCredit()).to.equal(0n)
      const state = await f.escrow.orders(orderId)
      expect([state.amount, state.released, state.closed]).to.deep.equal([order.amount, 4n * OPG, false])
      await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.escrow], [0n, 0n])
    })

    it('credits only what is new the next time', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await settleRows(f, [settleRow(order, 4n * OPG)])
      const shares = sharesFor(4n * OPG, 10n * OPG)
      await expectCredited(f, settleRows(f, [settleRow(order, 10n * OPG)]), shares)
      expect((await f.escrow.orders(orderIdOf(f.home, f.terms, order))).released).to.equal(10n * OPG)
    })

    it('returns the rest in the same call with close', async () => {
      const f = await loadFixture(deployFixture)
      const { order, orderId } = await openOrder(f)
      const row = settleRow(order, 4n * OPG, { close: true })
      const sent = settleRows(f, [row])
      await expect(sent)
        .to.emit(f.escrow, 'OrderSettled')
        .withArgs(orderId, 4n * OPG, row.receiptsRoot, row.receiptCount, 6n * OPG)
      await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.escrow], [6n * OPG, -6n * OPG])
      expect((await f.escrow.orders(orderId)).closed).to.equal(true)
    })

    it('transfers nothing where the whole amount was earned', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await expect(settleRows(f, [settleRow(order, order.amount, { close: true })])).not.to.emit(f.token, 'Transfer')
    })

    it('closes at a fee of zero and credits nobody', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      const sent = settleRows(f, [settleRow(order, 0n, { close: true })])
      await expect(sent).to.changeTokenBalance(f.token, f.payer, order.amount)
      await expect(sent).not.to.emit(f.escrow, 'FeesCredited')
      await expect(sent).not.to.emit(f.escrow, 'SharesCredited')
    })

    it('closes at the fee that was settled before (F6)', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await settleRows(f, [settleRow(order, 4n * OPG)])
      const sent = settleRows(f, [settleRow(order, 4n * OPG, { close: true })])
      await expect(sent).to.changeTokenBalance(f.token, f.payer, 6n * OPG)
      await expect(sent).not.to.emit(f.escrow, 'FeesCredited')
      await expect(sent).not.to.emit(f.escrow, 'SharesCredited')
    })

    for (const [amount, fee] of [
      [1n, 1n],
      [MAX_96, 1n],
      [MAX_96, MAX_96 - 1n],
      [MAX_96, MAX_96],
    ] as const) {
      for (const close of [true, false]) {
        it(`conserves ${String(fee)} of ${String(amount)} ${close ? 'with' : 'without'} close (E7)`, async () => {
          const f = await loadFixture(deployFixture)
          await f.token.mint(f.payer.address, MAX_96)
          const before = await f.token.balanceOf(f.payer)
          const { order, orderId } = await openOrder(f, { amount })
          await settleRows(f, [settleRow(order, fee, { close })])
          const credited =
            (await f.escrow.credits(f.node)) +
            (await f.escrow.credits(f.facilitator)) +
            (await f.escrow.royalties(f.modelId)) +
            (await f.escrow.networkCreditWith(f.node))
          expect(credited).to.equal(fee)
          const refund = close ? amount - fee : 0n
          expect(await f.token.balanceOf(f.payer)).to.equal(before - amount + refund)
          // An order of 2^96 - 1 that is released in full reads as closed, and nothing is left to reclaim.
          expect((await f.escrow.orders(orderId)).closed).to.equal(close || fee === MAX_96)
        })
      }
    }
  })

  context('with batches', () => {
    it('takes no rows at all, if the evidence holds', async () => {
      const f = await loadFixture(deployFixture)
      const evidence = await settlementEvidence(f, f.node, [])
      expect(await f.escrow.settle.staticCall(f.terms, [], evidence)).to.equal(0n)
      await expect(f.escrow.settle(f.terms, [], '0x')).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
    })

    it('settles many rows of several payers and credits once', async () => {
      const f = await loadFixture(deployFixture)
      const rows: SettleRow[] = []
      for (let i = 0n; i < 20n; i++) {
        const signer = i % 2n === 0n ? f.payer : f.otherPayer
        const { order } = await openOrder(f, { payer: signer.address, amount: (i + 2n) * OPG }, { signer })
        rows.push(settleRow(order, (i + 1n) * OPG + i, { close: i % 3n === 0n }))
      }
      const evidence = await settlementEvidence(f, f.node, rows)
      expect(await f.escrow.settle.staticCall(f.terms, rows, evidence)).to.equal(20n)
      const sent = await f.escrow.connect(f.stranger).settle(f.terms, rows, evidence)
      const receipt = await sent.wait()
      const credited = receipt?.logs.filter(
        (log) => log.topics[0] === f.escrow.interface.getEvent('FeesCredited').topicHash,
      )
      expect(credited?.length).to.equal(1)
      const steps = rows.map(({ cumulativeFee }) => ({
        before: 0n,
        cumulativeFee,
        networkBps: NETWORK_BPS,
        royaltyBps: ROYALTY_BPS,
      }))
      expect(await f.escrow.credits(f.node)).to.equal(sharesOfCall(steps, FACILITATOR_BPS).node)
    })

    it('divides each order by its own snapshot where the policy changed in between (E9)', async () => {
      const f = await loadFixture(deployFixture)
      const first = await openOrder(f)
      await f.policy.setNetworkBps(1_000)
      await f.escrow.syncNetworkBps()
      await f.registry.connect(f.modelOwner).setRoyaltyBps(f.modelId, 2_000)
      const second = await openOrder(f)
      const third = await openOrder(f)
      await settleRows(f, [
        settleRow(second.order, 7n),
        settleRow(first.order, 4n * OPG + 7n),
        settleRow(third.order, OPG + 3n),
      ])
      const shares = sharesOfCall(
        [
          { before: 0n, cumulativeFee: 7n, networkBps: 1_000n, royaltyBps: 2_000n },
          { before: 0n, cumulativeFee: 4n * OPG + 7n, networkBps: NETWORK_BPS, royaltyBps: ROYALTY_BPS },
          { before: 0n, cumulativeFee: OPG + 3n, networkBps: 1_000n, royaltyBps: 2_000n },
        ],
        FACILITATOR_BPS,
      )
      expect(await f.escrow.credits(f.node)).to.equal(shares.node)
      expect(await f.escrow.credits(f.facilitator)).to.equal(shares.facilitator)
      expect(await f.escrow.royalties(f.modelId)).to.equal(shares.royalty)
      expect(await f.escrow.networkCreditWith(f.node)).to.equal(shares.network)
    })
  })

  context('when a row cannot be settled', () => {
    async function expectSkipped(f: Fixture, bad: SettleRow, reason: bigint): Promise<void> {
      const { order, orderId } = await openOrder(f)
      const good = settleRow(order, OPG)
      const badId = orderIdOf(f.home, f.terms, bad.order)
      const before = await f.escrow.orders(badId)
      for (const rows of [[bad], [bad, good]]) {
        const evidence = await settlementEvidence(f, f.node, rows)
        expect(await f.escrow.settle.staticCall(f.terms, rows, evidence)).to.equal(BigInt(rows.length - 1))
        const sent = f.escrow.settle(f.terms, rows, evidence)
        await expect(sent).to.emit(f.escrow, 'RowSkipped').withArgs(badId, reason)
        await expect(sent).to.changeTokenBalance(f.token, f.escrow, 0n)
      }
      expect((await f.escrow.orders(orderId)).released).to.equal(OPG)
      expect([...(await f.escrow.orders(badId))]).to.deep.equal([...before])
    }

    it('skips an unknown order', async () => {
      const f = await loadFixture(deployFixture)
      await expectSkipped(f, settleRow(await makeOrder(f), OPG), Skip.Unknown)
    })

    it('skips a closed order', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await f.escrow.connect(f.node).release(f.terms, order)
      await expectSkipped(f, settleRow(order, OPG), Skip.Closed)
      await expectSkipped(f, settleRow(order, 0n, { close: true }), Skip.Closed)
    })

    it('settles one second before claimBy, and skips from then on as late', async () => {
      const f = await loadFixture(deployFixture)
      const claimBy = (await now()) + 1_000n
      const { order } = await openOrder(f, { claimBy })
      const row = settleRow(order, OPG)
      const evidence = await settlementEvidence(f, f.node, [row])
      const later = settleRow(order, 2n * OPG)
      const laterEvidence = await settlementEvidence(f, f.node, [later])
      await time.setNextBlockTimestamp(claimBy - 1n)
      await expect(f.escrow.settle(f.terms, [row], evidence)).to.emit(f.escrow, 'OrderSettled')
      for (const after of [0n, 1n]) {
        await time.setNextBlockTimestamp(claimBy + after)
        await expect(f.escrow.settle(f.terms, [later], laterEvidence))
          .to.emit(f.escrow, 'RowSkipped')
          .withArgs(orderIdOf(f.home, f.terms, order), Skip.Late)
      }
    })

    it('settles the whole amount, and skips one unit more as overdrawn', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await expectSkipped(f, settleRow(order, order.amount + 1n), Skip.Overdrawn)
      await expectSkipped(f, settleRow(order, MAX_96, { close: true }), Skip.Overdrawn)
      await expect(settleRows(f, [settleRow(order, order.amount)])).to.emit(f.escrow, 'OrderSettled')
    })

    it('skips less than was released, with and without close, and as much without close (F6)', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await settleRows(f, [settleRow(order, 4n * OPG)])
      await expectSkipped(f, settleRow(order, 4n * OPG), Skip.Stale)
      await expectSkipped(f, settleRow(order, 4n * OPG - 1n), Skip.Stale)
      await expectSkipped(f, settleRow(order, 4n * OPG - 1n, { close: true }), Skip.Stale)
      await expect(settleRows(f, [settleRow(order, 4n * OPG + 1n)])).to.emit(f.escrow, 'OrderSettled')
    })

    it('skips a fee of zero without close', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      await expectSkipped(f, settleRow(order, 0n), Skip.Stale)
    })

    it('takes an order for one request only whole: with close and at most one receipt', async () => {
      const f = await loadFixture(deployFixture)
      const job = { requester: f.requester.address, requestHash: toBeHex(1, 32) }
      const { order } = await openOrder(f, { job })
      await expectSkipped(f, settleRow(order, OPG, { close: false, receiptCount: 1n }), Skip.NotSingle)
      await expectSkipped(f, settleRow(order, OPG, { close: true, receiptCount: 2n }), Skip.NotSingle)
      await expect(settleRows(f, [settleRow(order, OPG, { close: true, receiptCount: 1n })])).to.emit(
        f.escrow,
        'OrderSettled',
      )
      const silent = await openOrder(f, { job })
      await expect(settleRows(f, [settleRow(silent.order, 0n, { close: true, receiptCount: 0n })])).to.emit(
        f.escrow,
        'OrderSettled',
      )
    })

    it('settles the first of two rows for one order, and the second on top of it', async () => {
      const f = await loadFixture(deployFixture)
      const { order, orderId } = await openOrder(f)
      const rows = [
        settleRow(order, 2n * OPG),
        settleRow(order, OPG),
        settleRow(order, 3n * OPG, { close: true }),
        settleRow(order, 4n * OPG),
      ]
      const sent = settleRows(f, rows)
      await expect(sent).to.emit(f.escrow, 'RowSkipped').withArgs(orderId, Skip.Stale)
      await expect(sent).to.emit(f.escrow, 'RowSkipped').withArgs(orderId, Skip.Closed)
      await expect(sent).to.changeTokenBalance(f.token, f.payer, 7n * OPG)
      expect((await f.escrow.credits(f.node)) + (await f.escrow.credits(f.facilitator))).to.be.lessThan(3n * OPG)
    })
  })

  context('when evidence does not hold', () => {
    it('reverts with the digest that it should have been about', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      const rows = [settleRow(order, OPG)]
      const evidence = await settlementEvidence(f, f.stranger, rows)
      await expect(f.escrow.settle(f.terms, rows, evidence))
        .to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
        .withArgs(f.terms.verifier, batchDigest(f.home, f.terms, rows))
    })

    it('reverts if any member of any row is not the signed one', async () => {
      const f = await loadFixture(deployFixture)
      const first = await openOrder(f)
      const second = await openOrder(f)
      const rows = [settleRow(first.order, OPG), settleRow(second.order, OPG)]
      const [good, signed] = rows
      if (!good || !signed) throw new TypeError('no rows')
      const evidence = await settlementEvidence(f, f.node, rows)
      const altered: SettleRow[] = [
        { ...signed, cumulativeFee: OPG + 1n },
        { ...signed, receiptsRoot: id('another') },
        { ...signed, receiptCount: 4n },
        { ...signed, close: true },
        { ...signed, order: first.order },
      ]
      const batches = [...altered.map((row) => [good, row]), [signed, good], [good], [good, signed, good], []]
      for (const batch of batches) {
        await expect(f.escrow.settle(f.terms, batch, evidence)).to.be.revertedWithCustomError(
          f.escrow,
          'EvidenceRefused',
        )
      }
      expect(await f.escrow.settle.staticCall(f.terms, rows, evidence)).to.equal(2n)
    })

    it("takes the evidence key's signature where one is named, and not the node's", async () => {
      const f = await loadFixture(deployFixture)
      const key = new Wallet(id('evidence key'))
      const terms = { ...f.terms, evidenceKey: zeroPadValue(key.address, 32) }
      const { order } = await openOrder(f, {}, { terms })
      const rows = [settleRow(order, OPG)]
      const byNode = await settlementEvidence(f, f.node, rows, { terms })
      await expect(f.escrow.settle(terms, rows, byNode)).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
      const byKey = await settlementEvidence(f, key, rows, { terms })
      await expect(f.escrow.settle(terms, rows, byKey)).to.emit(f.escrow, 'OrderSettled')
    })
  })
})
