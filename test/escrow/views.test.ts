import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { TypedDataEncoder, ZeroHash, id } from 'ethers'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import {
  PERMIT2_ADDRESS,
  deploy,
  deployFixture,
  escrowDomain,
  makeOrder,
  orderIdOf,
  settleRow,
  type Order,
  type Terms,
} from '../support/fixture'
import { batchDigest, batchMessage } from '../support/typedData'

describe('orderId', () => {
  it('commits to every field of terms and order, to the escrow and to the chain', async () => {
    const f = await loadFixture(deployFixture)
    const order = await makeOrder(f)
    const terms: Terms[] = [
      { ...f.terms, node: f.stranger.address },
      { ...f.terms, facilitator: f.stranger.address },
      { ...f.terms, facilitatorBps: f.terms.facilitatorBps + 1n },
      { ...f.terms, verifier: f.stranger.address },
      { ...f.terms, evidenceKey: id('key') },
      { ...f.terms, modelId: ZeroHash },
    ]
    const orders: Order[] = [
      { ...order, payer: f.otherPayer.address },
      { ...order, nonce: order.nonce + 1n },
      { ...order, amount: order.amount - 1n },
      { ...order, claimBy: order.claimBy + 1n },
      { ...order, job: { ...order.job, requester: f.stranger.address } },
      { ...order, job: { ...order.job, requestHash: id('request') } },
    ]
    const ids = [await f.escrow.orderId(f.terms, order)]
    for (const altered of terms) ids.push(await f.escrow.orderId(altered, order))
    for (const altered of orders) ids.push(await f.escrow.orderId(f.terms, altered))
    const other = await deploy<InferenceEscrow>('InferenceEscrow', [
      f.home.token,
      PERMIT2_ADDRESS,
      f.policy,
      f.registry,
    ])
    ids.push(await other.orderId(f.terms, order))
    ids.push(orderIdOf({ ...f.home, chainId: f.home.chainId + 1n }, f.terms, order))

    expect(ids[0]).to.equal(orderIdOf(f.home, f.terms, order))
    expect(new Set(ids).size).to.equal(ids.length)
  })
})

describe('settlementDigest', () => {
  for (const count of [0, 1, 3]) {
    it(`is the EIP-712 digest of a batch of ${String(count)}`, async () => {
      const f = await loadFixture(deployFixture)
      const rows = []
      for (let i = 0; i < count; i++)
        rows.push(settleRow(await makeOrder(f), BigInt(i), { close: i === 1, receiptCount: 2n ** 64n - 1n }))
      const settlements = rows.map(({ order, ...rest }) => ({ orderId: orderIdOf(f.home, f.terms, order), ...rest }))
      const digest = await f.escrow.settlementDigest(f.terms.node, f.terms.evidenceKey, settlements)
      expect(digest).to.equal(batchDigest(f.home, f.terms, rows))
      expect(batchMessage(f.home, f.terms, rows).settlements).to.deep.equal(settlements)
    })
  }
})

describe('domainSeparator and deploymentChainId', () => {
  it('are those of the chain and the escrow', async () => {
    const f = await loadFixture(deployFixture)
    expect(await f.escrow.domainSeparator()).to.equal(TypedDataEncoder.hashDomain(escrowDomain(f.home)))
    expect(await f.escrow.deploymentChainId()).to.equal(f.home.chainId)
  })

  it('tell wallets the domain (ERC-5267)', async () => {
    const f = await loadFixture(deployFixture)
    const domain = await f.escrow.eip712Domain()
    expect([domain.name, domain.version, domain.chainId, domain.verifyingContract]).to.deep.equal([
      'InferenceEscrow',
      '1',
      f.home.chainId,
      f.home.escrow,
    ])
  })
})

describe('orders', () => {
  it('is empty for an unknown order', async () => {
    const f = await loadFixture(deployFixture)
    expect([...(await f.escrow.orders(id('nothing')))]).to.deep.equal([0n, 0n, 0n, 0n, 0n, 0n, false])
  })
})
