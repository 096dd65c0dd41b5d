import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { Wallet, ZeroHash, id, keccak256, toBeHex, zeroPadValue } from 'ethers'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import {
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployFixture,
  openOrder,
  settleRow,
  settleRows,
  settlementEvidence,
} from '../support/fixture'
import { allocate, openRouted, routedTerms, settleSlices } from '../support/routed'
import { batchDigest } from '../support/typedData'

/** Orders that name the escrow itself as their verifier. */
async function ownVerifierFixture() {
  const f = await deployFixture()
  return { ...f, terms: { ...f.terms, verifier: f.home.escrow } }
}

describe('the escrow as its own KeyReceiptVerifier', () => {
  it("settles orders that name it, by the node's signature alone", async () => {
    const f = await loadFixture(ownVerifierFixture)
    const { order, orderId } = await openOrder(f)
    await expect(settleRows(f, [settleRow(order, OPG)])).to.emit(f.escrow, 'OrderSettled')
    expect(await f.escrow.credits(f.node)).to.equal((OPG * 92n) / 100n)
    const rows = [settleRow(order, 2n * OPG)]
    for (const evidence of [
      '0x',
      await settlementEvidence(f, f.stranger, rows),
      await settlementEvidence(f, f.payer, rows),
    ]) {
      await expect(f.escrow.settle(f.terms, rows, evidence))
        .to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
        .withArgs(f.home.escrow, batchDigest(f.home, f.terms, rows))
    }
    expect((await f.escrow.orders(orderId)).released).to.equal(OPG)
  })

  it('settles by an evidence key, and by an ERC-1271 wallet', async () => {
    const f = await loadFixture(ownVerifierFixture)
    const key = new Wallet(id('evidence key'))
    const keyed = { ...f.terms, evidenceKey: zeroPadValue(key.address, 32) }
    const { order } = await openOrder(f, {}, { terms: keyed })
    const rows = [settleRow(order, OPG)]
    const byKey = await settlementEvidence(f, key, rows, { terms: keyed })
    await expect(f.escrow.settle(keyed, rows, byKey)).to.emit(f.escrow, 'OrderSettled')

    const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS])
    const walleted = { ...f.terms, node: await wallet.getAddress() }
    const second = await openOrder(f, {}, { terms: walleted })
    await expect(f.escrow.settle(walleted, [settleRow(second.order, OPG)], '0x12')).to.emit(f.escrow, 'OrderSettled')
    await wallet.setMood(1)
    await expect(f.escrow.settle(walleted, [settleRow(second.order, 2n * OPG)], '0x12')).to.be.revertedWithCustomError(
      f.escrow,
      'EvidenceRefused',
    )
  })

  it('settles slices of orders that name it', async () => {
    const base = await loadFixture(ownVerifierFixture)
    const f = { ...base, terms: routedTerms(base.terms) }
    const { order } = await openRouted(f)
    const planned = await allocate(f, order, { cap: OPG })
    const sent = settleSlices(f, planned, [
      { index: 0, fee: OPG },
      { index: 1, fee: OPG, signer: f.stranger },
      { index: 2, fee: OPG },
    ])
    await expect(sent).to.changeTokenBalances(
      f.token,
      planned.signers.map(({ address }) => address),
      [0, 1, 2].map((index) => (index === 1 ? 0n : (OPG * 92n) / 100n)),
    )
  })

  it('answers as the verifier of its own does, with the same errors', async () => {
    const f = await loadFixture(ownVerifierFixture)
    const { order } = await openOrder(f)
    const rows = [settleRow(order, OPG)]
    const digest = batchDigest(f.home, f.terms, rows)
    const evidence = await settlementEvidence(f, f.node, rows)
    const { node } = f.terms
    const dirty = toBeHex(1n << 160n, 32)
    for (const verifier of [f.escrow, f.verifier]) {
      expect(await verifier.verify(node, ZeroHash, digest, [], evidence)).to.equal(
        verifier.interface.getFunction('verify').selector,
      )
      await expect(verifier.verify(node, dirty, digest, [], evidence))
        .to.be.revertedWithCustomError(verifier, 'EvidenceKeyInvalid')
        .withArgs(dirty)
      await expect(verifier.verify(f.stranger.address, ZeroHash, digest, [], evidence))
        .to.be.revertedWithCustomError(verifier, 'SignatureInvalid')
        .withArgs(f.stranger.address, digest)
    }
  })

  it('stranger calls verify, as a transaction, with evidence of an open order: it settles nothing (E3)', async () => {
    const f = await loadFixture(ownVerifierFixture)
    const { order, orderId } = await openOrder(f)
    const row = settleRow(order, OPG, { close: true })
    const evidence = await settlementEvidence(f, f.node, [row])
    const { order: _, ...settled } = row
    const seen = {
      orderId,
      requester: f.requester.address,
      requestHash: ZeroHash,
      amount: order.amount,
      released: 0n,
      openedAt: 0n,
      ...settled,
    }
    const digest = batchDigest(f.home, f.terms, [row])
    const data = f.escrow.interface.encodeFunctionData('verify', [f.terms.node, ZeroHash, digest, [seen], evidence])
    const before = [...(await f.escrow.orders(orderId))]
    for (const calls of [data, f.escrow.interface.encodeFunctionData('multicall', [[data]])]) {
      const sent = f.stranger.sendTransaction({ to: f.home.escrow, data: calls })
      await expect(sent).to.changeTokenBalance(f.token, f.escrow, 0n)
      expect((await (await sent).wait())?.logs).to.deep.equal([])
    }
    expect([...(await f.escrow.orders(orderId))]).to.deep.equal(before)
    expect(await f.escrow.credits(f.node)).to.equal(0n)
  })

  it("precompile as node of an order that names the escrow: what it answers is nobody's signature (E3)", async () => {
    const f = await loadFixture(ownVerifierFixture)
    const digest = keccak256('0x01')
    for (const precompile of [1n, 2n, 3n, 4n, 5n, 0x100n]) {
      await expect(
        f.escrow.verify(toBeHex(precompile, 20), ZeroHash, digest, [], digest),
      ).to.be.revertedWithCustomError(f.escrow, 'SignatureInvalid')
    }
  })

  it('the escrow as evidence key, or as the node: it signs for nobody (E3)', async () => {
    const f = await loadFixture(ownVerifierFixture)
    const digest = keccak256('0x01')
    for (const [node, key] of [
      [f.home.escrow, ZeroHash],
      [f.node.address, zeroPadValue(f.home.escrow, 32)],
    ] as const) {
      await expect(f.escrow.verify(node, key, digest, [], digest)).to.be.revertedWithCustomError(
        f.escrow,
        'SignatureInvalid',
      )
    }
  })
})
