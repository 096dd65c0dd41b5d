import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroHash, dataLength, id, toBeHex } from 'ethers'
import type { ExactVerifier } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/ExactVerifier'
import { OPG, deploy, deployFixture, makeOrder, now, openOrder, orderIdOf, settleRow } from '../support/fixture'
import { batchDigest } from '../support/typedData'

const MAX_96 = 2n ** 96n - 1n

describe('settle', () => {
  context('when the verifier looks at the rows', () => {
    for (const evidence of ['0x', '0xab', toBeHex(1, 31), toBeHex(1, 32), toBeHex(1, 33), toBeHex(1, 700)]) {
      it(`shows it orders as they were before, and ${String((evidence.length - 2) / 2)} bytes of evidence`, async () => {
        const f = await loadFixture(deployFixture)
        const verifier = await deploy<ExactVerifier>('ExactVerifier')
        const terms = { ...f.terms, verifier: await verifier.getAddress(), evidenceKey: id('any key') }
        const open = await openOrder(f, {}, { terms })
        const openedAt = await now()
        const single = await openOrder(
          f,
          { amount: MAX_96 / 2n ** 40n, job: { requester: f.stranger.address, requestHash: id('r') } },
          { terms },
        )
        const singleAt = await now()
        const unknown = await makeOrder(f)
        const rows = [
          settleRow(open.order, OPG, { receiptCount: 2n ** 64n - 1n }),
          settleRow(single.order, 5n, { close: true, receiptCount: 0n, receiptsRoot: ZeroHash }),
          settleRow(unknown, MAX_96),
        ]
        const seen = rows.map(({ order, ...given }, i) => ({
          orderId: orderIdOf(f.home, terms, order),
          requester: order.job.requester,
          requestHash: order.job.requestHash,
          amount: i === 2 ? 0n : order.amount,
          released: 0n,
          openedAt: [openedAt, singleAt, 0n][i] ?? 0n,
          ...given,
        }))
        const question = verifier.interface.encodeFunctionData('verify', [
          terms.node,
          terms.evidenceKey,
          batchDigest(f.home, terms, rows),
          seen,
          evidence,
        ])
        await verifier.expectQuestion(question)
        expect(await f.escrow.settle.staticCall(terms, rows, evidence)).to.equal(2n)
        const receipt = await (await f.escrow.settle(terms, rows, evidence)).wait()
        const topic = f.escrow.interface.getEvent('OrderSettled').topicHash
        const logs = receipt?.logs.filter(({ topics }) => topics[0] === topic) ?? []
        // Fee, root and count of the receipts, and the refund: no word more.
        expect(logs.map(({ data }) => dataLength(data))).to.deep.equal([128, 128])
        // The same question again is another one: the orders have moved on.
        await expect(f.escrow.settle(terms, rows, evidence)).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
      })
    }
  })
})
