import { loadFixture, setBalance, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { concat, dataSlice, keccak256, toBeHex, zeroPadValue } from 'ethers'
import { ethers } from 'hardhat'
import type { DevTEERegistry } from '../../packages/bindings/src/generated/typechain/contracts/dev/DevTEERegistry'
import type { HostileVerifier } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileVerifier'
import type { TeeReceiptVerifier } from '../../packages/bindings/src/generated/typechain/contracts/verifiers/TeeReceiptVerifier'
import { newRsaKey } from '../crypto/pss'
import {
  GAS_PER_ORDER,
  NETWORK_BPS,
  OPG,
  PERMIT2_ADDRESS,
  createPayer,
  deploy,
  deployFixture,
  makeOrder,
  nodeOnly,
  now,
  openOrder,
  orderIdOf,
  settleRow,
  settleRows,
  settlementEvidence,
  signOrder,
  type SettleRow,
  type SignedOrder,
} from '../support/fixture'

const MAX_96 = 2n ** 96n - 1n
const PRECOMPILES = [0x01n, 0x02n, 0x03n, 0x04n, 0x05n, 0x06n, 0x09n, 0x0bn, 0x100n, 0x900n]

describe('attacks at the edges', () => {
  it('precompile as verifier: no order opens with it (E3)', async () => {
    const f = await loadFixture(deployFixture)
    for (const precompile of PRECOMPILES) {
      const terms = { ...f.terms, verifier: toBeHex(precompile, 20) }
      const signed = await signOrder(f, f.payer, await makeOrder(f), { terms })
      await expect(f.escrow.open(terms, signed)).to.be.revertedWithCustomError(f.escrow, 'VerifierWithoutCode')
      const rows: SettleRow[] = [settleRow(signed.order, OPG)]
      await expect(f.escrow.settle(terms, rows, '0x')).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
    }
  })

  it("precompile as evidence key or as node: what it answers is nobody's signature (E3)", async () => {
    const f = await loadFixture(deployFixture)
    const digest = keccak256('0x01')
    for (const precompile of PRECOMPILES) {
      const signer = toBeHex(precompile, 20)
      for (const evidence of ['0x', digest, concat([digest, digest, '0x1b']), concat([digest, digest, '0x00'])]) {
        for (const key of [zeroPadValue(signer, 32), zeroPadValue('0x', 32)]) {
          await expect(f.verifier.verify(signer, key, digest, [], evidence)).to.be.revertedWithCustomError(
            f.verifier,
            'SignatureInvalid',
          )
        }
      }
    }
  })

  it('order of 2^96 - 1, released in full without close: it is closed, and nothing leaves twice (E5, E7)', async () => {
    const f = await loadFixture(deployFixture)
    await f.token.mint(f.payer, MAX_96)
    for (const close of [false, true]) {
      await f.token.mint(f.payer, MAX_96)
      const { order, orderId } = await openOrder(f, { amount: MAX_96 })
      await settleRows(f, [settleRow(order, MAX_96 - 1n)])
      expect((await f.escrow.orders(orderId)).closed).to.equal(false)
      await settleRows(f, [settleRow(order, MAX_96, { close })])
      expect((await f.escrow.orders(orderId)).closed).to.equal(true)
      await expect(settleRows(f, [settleRow(order, MAX_96, { close: true })]))
        .to.emit(f.escrow, 'RowSkipped')
        .withArgs(orderId, 2n)
      await expect(f.escrow.connect(f.node).release(f.terms, order)).to.be.revertedWithCustomError(
        f.escrow,
        'OrderClosed',
      )
    }
    const owed =
      (await f.escrow.credits(f.node)) +
      (await f.escrow.credits(f.facilitator)) +
      (await f.escrow.royalties(f.modelId)) +
      (await f.escrow.networkCreditWith(f.node))
    expect(owed).to.equal(2n * MAX_96)
    expect(await f.token.balanceOf(f.escrow)).to.equal(owed)
  })

  it('second at which 32 bits of time are zero again: an order opened then is known, settles and is reclaimed (E5, E6)', async () => {
    const f = await loadFixture(deployFixture)
    await time.increaseTo(2n ** 32n - 100n)
    const orders = [await makeOrder(f), await makeOrder(f)]
    const signed: SignedOrder[] = []
    for (const order of orders) signed.push(await signOrder(f, f.payer, order))
    const [first, second] = signed
    if (first === undefined || second === undefined) throw new TypeError('Two orders were signed')
    await time.setNextBlockTimestamp(2n ** 32n)
    await f.escrow.openBatch(f.terms, signed, GAS_PER_ORDER)
    const state = await f.escrow.orders(orderIdOf(f.home, f.terms, first.order))
    expect([state.openedAt, state.amount]).to.deep.equal([0n, first.order.amount])
    expect(await f.escrow.open.staticCall(f.terms, first)).to.equal(false)
    await expect(settleRows(f, [settleRow(first.order, OPG, { close: true })])).to.changeTokenBalance(
      f.token,
      f.payer,
      9n * OPG,
    )
    await time.increaseTo(second.order.claimBy)
    await expect(f.escrow.reclaim(f.terms, second.order)).to.changeTokenBalance(f.token, f.payer, 10n * OPG)
  })

  it('verifier that accepts everything, over orders that nobody opened: it can only pay a node its own credit (E3, E10)', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    await settleRows(f, [settleRow(order, OPG)])
    const credit = await f.escrow.credits(f.node)
    const verifier = await deploy<HostileVerifier>('HostileVerifier')
    const terms = {
      ...f.terms,
      facilitator: f.stranger.address,
      facilitatorBps: 65_535n,
      verifier: await verifier.getAddress(),
    }
    const rows = [
      settleRow(order, 9n * OPG),
      settleRow(await makeOrder(f), MAX_96),
      settleRow(order, 0n, { close: true }),
    ]
    const settle = f.escrow.connect(f.stranger)
    expect(await settle.settleWithClaim.staticCall(terms, rows, '0x')).to.equal(0n)
    await expect(settle.settleWithClaim(terms, rows, '0x')).to.changeTokenBalances(
      f.token,
      [f.escrow, f.node, f.stranger, f.payer],
      [-credit, credit, 0n, 0n],
    )
    await expect(settle.settleWithClaim(terms, rows, '0x')).to.changeTokenBalance(f.token, f.escrow, 0n)
    expect(await f.escrow.credits(f.stranger)).to.equal(0n)
    expect((await f.escrow.orders(orderIdOf(f.home, f.terms, order))).released).to.equal(OPG)
  })

  it('settler that starves the verifier, the refunds or the claim of gas: all rows settle and all is paid, or nothing is (E8, F14)', async () => {
    const f = await loadFixture(deployFixture)
    const terms = nodeOnly(f.terms)
    const rows: SettleRow[] = []
    for (let i = 0; i < 3; i++) {
      const payer = await createPayer(f.token, `starved ${String(i)}`)
      const { order } = await openOrder(f, { payer: payer.address }, { terms, signer: payer })
      await f.token.connect(payer).transfer(f.stranger, await f.token.balanceOf(payer)) // so that refunds cost most
      rows.push(settleRow(order, OPG, { close: true }))
    }
    const evidence = await settlementEvidence(f, f.node, rows, { terms })
    const data = f.escrow.interface.encodeFunctionData('settleWithClaim', [terms, rows, evidence])
    const ample = await ethers.provider.estimateGas({ to: f.home.escrow, data })
    const networkFee = (3n * OPG * NETWORK_BPS) / 10_000n // stays as credit
    let [least, reverted] = [ample * 2n, 0]
    for (let gasLimit = ample + 5_000n; gasLimit > 40_000n; gasLimit -= 311n) {
      const answer = await f.stranger.call({ to: f.home.escrow, data, gasLimit }).catch(() => undefined)
      if (answer === undefined) reverted++
      else {
        expect(BigInt(answer), `with ${String(gasLimit)} gas`).to.equal(3n)
        if (gasLimit < least) least = gasLimit
      }
    }
    expect(reverted).to.be.greaterThan(0)
    const sent = f.stranger.sendTransaction({ to: f.home.escrow, data, gasLimit: least })
    await expect(sent).to.changeTokenBalances(
      f.token,
      [f.escrow, f.node],
      [networkFee - 30n * OPG, 3n * OPG - networkFee],
    )
    await expect(sent).not.to.emit(f.escrow, 'TransferCredited')
  })

  it('policy that names the escrow as recipient: the credit waits for the next recipient, and the others are paid (E1, E10)', async () => {
    const f = await loadFixture(deployFixture)
    const terms = { ...f.terms, facilitator: f.home.escrow, facilitatorBps: 0n }
    const { order } = await openOrder(f, {}, { terms })
    await settleRows(f, [settleRow(order, 10n * OPG)], { terms })
    await f.policy.setNetworkRecipient(f.escrow)
    for (const caller of [f.network, f.stranger]) {
      await expect(f.escrow.connect(caller).claimNetwork(f.escrow)).to.be.revertedWithCustomError(
        f.escrow,
        'RecipientInvalid',
      )
    }
    expect(await f.escrow.credits(f.escrow)).to.equal(0n)
    await f.escrow.claim(f.node)
    await f.escrow.claimRoyalty(f.modelId, f.modelOwner)
    await f.policy.setNetworkRecipient(f.network)
    const networkFee = (10n * OPG * NETWORK_BPS) / 10_000n
    await expect(f.escrow.claimNetwork(f.network)).to.changeTokenBalance(f.token, f.network, networkFee)
    expect(await f.token.balanceOf(f.escrow)).to.equal(0n)
  })

  it('coins sent to where a key will be cached: the key is cached all the same, and is the right one', async () => {
    const registry = await deploy<DevTEERegistry>('DevTEERegistry')
    const verifier = await deploy<TeeReceiptVerifier>('TeeReceiptVerifier', [await registry.getAddress()])
    const key = newRsaKey(2048)
    await registry.register(key.der, PERMIT2_ADDRESS, 'https://node.example', 0)
    const teeId = keccak256(key.der)
    const cache = await verifier.cacheOf(teeId)
    await setBalance(cache, 10n ** 18n)
    await verifier.cacheKey(teeId)
    expect(await ethers.provider.getCode(cache)).to.equal(concat(['0x00', dataSlice(key.der, 33, 33 + 256)]))
  })

  it('order opened in the last second before claimBy: it is settled or reclaimed, never both (E5, E6)', async () => {
    const f = await loadFixture(deployFixture)
    const claimBy = (await now()) + 100n
    const order = await makeOrder(f, { claimBy })
    const signed = await signOrder(f, f.payer, order)
    const rows = [settleRow(order, 4n * OPG)]
    const evidence = await settlementEvidence(f, f.node, rows)
    await time.setNextBlockTimestamp(claimBy - 1n)
    await f.escrow.multicall([
      f.escrow.interface.encodeFunctionData('open', [f.terms, signed]),
      f.escrow.interface.encodeFunctionData('settle', [f.terms, rows, evidence]),
    ])
    await time.setNextBlockTimestamp(claimBy)
    await f.escrow.multicall([
      f.escrow.interface.encodeFunctionData('reclaim', [f.terms, order]),
      f.escrow.interface.encodeFunctionData('settle', [f.terms, rows, evidence]),
    ])
    expect(await f.token.balanceOf(f.escrow)).to.equal(4n * OPG)
  })
})
