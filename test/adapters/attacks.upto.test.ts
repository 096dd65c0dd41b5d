import { loadFixture, setCode } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress, id } from 'ethers'
import { artifacts, ethers } from 'hardhat'
import type { UptoAdapter } from '../../packages/bindings/src/generated/typechain/contracts/adapters/UptoAdapter'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import {
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  makeOrder,
  settleRow,
  settleRows,
  signOrder,
  type Order,
  type Terms,
} from '../support/fixture'
import {
  CLAIM_WINDOW,
  GAS_PER_FUNDING,
  UPTO_PROXY,
  fundingData,
  payUpto,
  uptoFixture,
  type UptoFixture,
} from '../support/upto'

/** Whoever saw the payment tries to open it otherwise: nothing may leave the payer. */
async function expectNothingOpens(
  f: UptoFixture,
  attempt: { readonly terms?: Terms; readonly order: Order; readonly data: string; readonly adapter?: UptoAdapter },
): Promise<void> {
  const { terms = f.terms, order, data, adapter = f.adapter } = attempt
  await expect(f.escrow.openVia(adapter, terms, { order, data })).to.be.reverted
  const opened = await f.escrow.openBatchVia.staticCall(adapter, terms, [{ order, data }], GAS_PER_FUNDING)
  expect(opened).to.deep.equal([false])
  expect(await f.token.balanceOf(f.escrow)).to.equal(0n)
}

describe('attacks on stock upto payments', () => {
  it('front-run with each other term of the offer: nothing opens', async () => {
    const f = await loadFixture(uptoFixture)
    const { funded } = await payUpto(f)
    for (const terms of [
      { ...f.terms, node: f.stranger.address },
      { ...f.terms, facilitator: f.stranger.address },
      { ...f.terms, facilitatorBps: f.terms.facilitatorBps + 1n },
      { ...f.terms, evidenceKey: id('my key') },
      { ...f.terms, modelId: id('my model') },
    ]) {
      await expectNothingOpens(f, { terms, ...funded })
    }
    const verifier = await (await deploy('KeyReceiptVerifier')).getAddress()
    await expectNothingOpens(f, { terms: { ...f.terms, verifier }, ...funded })
  })

  it('front-run with a longer or shorter claimWindow: nothing opens', async () => {
    const f = await loadFixture(uptoFixture)
    const { order, signature } = await payUpto(f)
    for (const window of [CLAIM_WINDOW - 1n, CLAIM_WINDOW + 1n, 0n]) {
      const data = fundingData(window, 0n, signature)
      await expectNothingOpens(f, { order, data })
      // The same window on both sides: then the deadline is the signed one, and the desk another.
      await expectNothingOpens(f, { order: { ...order, claimBy: order.claimBy - CLAIM_WINDOW + window }, data })
    }
  })

  it('1 wei in place of the signed amount: nothing opens (F9)', async () => {
    const f = await loadFixture(uptoFixture)
    const { order, funded } = await payUpto(f)
    await expectNothingOpens(f, { ...funded, order: { ...order, amount: 1n } })
    await expectNothingOpens(f, { ...funded, order: { ...order, amount: order.amount - 1n } })
    await expectNothingOpens(f, { ...funded, order: { ...order, amount: order.amount + 1n } })
  })

  it("somebody else's requester, or one request of his choice: nothing opens", async () => {
    const f = await loadFixture(uptoFixture)
    const { order, funded } = await payUpto(f)
    const jobs = [
      { requester: f.stranger.address, requestHash: order.job.requestHash },
      { requester: f.payer.address, requestHash: id('my request') },
      { requester: ZeroAddress, requestHash: order.job.requestHash },
    ]
    for (const job of jobs) {
      await expectNothingOpens(f, { ...funded, order: { ...order, job } })
      await expect(f.escrow.openVia(f.adapter, f.terms, { ...funded, order: { ...order, job } }))
        .to.be.revertedWithCustomError(f.adapter, 'JobNotOffered')
        .withArgs(job.requester, job.requestHash)
    }
  })

  it('another payer, nonce or validAfter: nothing opens', async () => {
    const f = await loadFixture(uptoFixture)
    const { order, signature, funded } = await payUpto(f)
    const thief = { requester: f.otherPayer.address, requestHash: order.job.requestHash }
    await expectNothingOpens(f, { ...funded, order: { ...order, payer: f.otherPayer.address, job: thief } })
    await expectNothingOpens(f, { ...funded, order: { ...order, nonce: order.nonce + 1n } })
    await expectNothingOpens(f, { order, data: fundingData(CLAIM_WINDOW, 1n, signature) })
  })

  it('a second adapter, of the same escrow or of one of the thief: nothing opens', async () => {
    const f = await loadFixture(uptoFixture)
    const { funded } = await payUpto(f)
    const second = await deploy<UptoAdapter>('UptoAdapter', [f.home.escrow])
    await expectNothingOpens(f, { ...funded, adapter: second })
    const policy = await f.escrow.FEE_POLICY()
    const registry = await f.escrow.MODEL_REGISTRY()
    const escrow = await deploy<InferenceEscrow>('InferenceEscrow', [f.home.token, PERMIT2_ADDRESS, policy, registry])
    const theirs = await deploy<UptoAdapter>('UptoAdapter', [await escrow.getAddress()])
    await expect(escrow.openVia(theirs, f.terms, funded)).to.be.reverted
    await expect(escrow.openVia(f.adapter, f.terms, funded)).to.be.revertedWithCustomError(f.adapter, 'CallerNotEscrow')
  })

  it('fund, desk and proxy called by a stranger: the money does not move', async () => {
    const f = await loadFixture(uptoFixture)
    await f.escrow.openVia(f.adapter, f.terms, (await payUpto(f)).funded) // so that the desk stands
    const { authorization, signature, order, orderId, funded } = await payUpto(f)
    await expect(f.adapter.connect(f.stranger).fund(orderId, f.terms, order, funded.data))
      .to.be.revertedWithCustomError(f.adapter, 'CallerNotEscrow')
      .withArgs(f.stranger.address)

    const { abi } = await artifacts.readArtifact('DevUptoProxy')
    const { token, amount, nonce, deadline, from, to, facilitator, validAfter } = authorization
    const settle = [
      { permitted: { token, amount }, nonce, deadline },
      amount,
      from,
      { to, facilitator, validAfter },
      signature,
    ]
    const proxy = new ethers.Contract(UPTO_PROXY, abi, f.stranger)
    await expect(proxy.getFunction('settle')(...settle)).to.be.revertedWithCustomError(proxy, 'UnauthorizedFacilitator')
    const data = proxy.interface.encodeFunctionData('settle', settle)
    const desk = await ethers.getContractAt('UptoDesk', f.desk)
    await expect(f.stranger.sendTransaction({ to: f.desk, data })).to.be.revertedWithCustomError(
      desk,
      'CallerNotAdapter',
    )
    expect(await f.token.balanceOf(f.escrow)).to.equal(OPG)
  })

  it('replay while open, and after the close: moves nothing (E5)', async () => {
    const f = await loadFixture(uptoFixture)
    const { order, funded } = await payUpto(f)
    await f.escrow.openVia(f.adapter, f.terms, funded)
    expect(await f.escrow.openVia.staticCall(f.adapter, f.terms, funded)).to.equal(false)
    await settleRows(f, [settleRow(order, OPG / 2n, { close: true })])
    await expect(f.escrow.openVia(f.adapter, f.terms, funded)).to.changeTokenBalance(f.token, f.payer, 0n)
    await expect(f.escrow.openBatchVia(f.adapter, f.terms, [funded, funded], GAS_PER_FUNDING)).to.changeTokenBalance(
      f.token,
      f.payer,
      0n,
    )
  })

  it('the same payment twice in one batch opens once (E5)', async () => {
    const f = await loadFixture(uptoFixture)
    const { funded } = await payUpto(f)
    await expect(f.escrow.openBatchVia(f.adapter, f.terms, [funded, funded], GAS_PER_FUNDING)).to.changeTokenBalance(
      f.token,
      f.payer,
      -OPG,
    )
  })

  it('tokens left at desk, adapter and proxy: they neither move nor count', async () => {
    const f = await loadFixture(uptoFixture)
    const places = [f.desk, await f.adapter.getAddress(), UPTO_PROXY]
    for (const place of places) await f.token.mint(place, OPG)
    await f.escrow.openVia(f.adapter, f.terms, (await payUpto(f)).funded)
    for (const place of places) expect(await f.token.balanceOf(place)).to.equal(OPG)
    expect(await f.token.balanceOf(f.escrow)).to.equal(OPG)
  })

  it('a payer who drained the wallet after it was checked: the order does not open, and others do', async () => {
    const f = await loadFixture(uptoFixture)
    const drained = await payUpto(f, { from: f.otherPayer.address }, { signer: f.otherPayer })
    const good = await payUpto(f)
    await f.token.connect(f.otherPayer).transfer(f.stranger, await f.token.balanceOf(f.otherPayer))
    const funded = [drained.funded, good.funded]
    const opened = await f.escrow.openBatchVia.staticCall(f.adapter, f.terms, funded, GAS_PER_FUNDING)
    expect(opened).to.deep.equal([false, true])
  })

  it('a proxy that is not there, or does nothing: no order opens (E1)', async () => {
    const f = await loadFixture(uptoFixture)
    const { funded } = await payUpto(f)
    for (const code of ['0x', '0x00']) {
      await setCode(UPTO_PROXY, code)
      await expect(f.escrow.openVia(f.adapter, f.terms, funded)).to.be.revertedWithCustomError(
        f.escrow,
        'AmountMismatch',
      )
      await expect(f.escrow.openBatchVia(f.adapter, f.terms, [funded], GAS_PER_FUNDING)).to.be.revertedWithCustomError(
        f.escrow,
        'AmountMismatch',
      )
    }
  })

  it('a relayer who starves a batch of gas: all of it reverts, and no honest order is lost (F5)', async () => {
    const f = await loadFixture(uptoFixture)
    const payments = [await payUpto(f), await payUpto(f), await payUpto(f)]
    const funded = payments.map((payment) => payment.funded)
    const needed = await f.escrow.openBatchVia.estimateGas(f.adapter, f.terms, funded, GAS_PER_FUNDING)
    for (let gasLimit = 150_000n; gasLimit < needed; gasLimit += 60_000n) {
      const before = await f.token.balanceOf(f.escrow)
      const sent = await f.escrow
        .openBatchVia(f.adapter, f.terms, funded, GAS_PER_FUNDING, { gasLimit })
        .then((tx) => tx.wait())
        .catch(() => undefined)
      expect(sent).to.equal(undefined)
      expect(await f.token.balanceOf(f.escrow)).to.equal(before)
    }
    await f.escrow.openBatchVia(f.adapter, f.terms, funded, GAS_PER_FUNDING)
    expect(await f.token.balanceOf(f.escrow)).to.equal(3n * OPG)
  })

  it("the payer's own permit with the same nonce is another order, and only one of the two opens (E5)", async () => {
    const f = await loadFixture(uptoFixture)
    const { order, funded } = await payUpto(f)
    const own = await makeOrder(f, { nonce: order.nonce, amount: order.amount })
    await f.escrow.open(f.terms, await signOrder(f, f.payer, own))
    await expect(f.escrow.openVia(f.adapter, f.terms, funded)).to.be.revertedWithCustomError(
      f.permit2Errors,
      'InvalidNonce',
    )
    expect(await f.token.balanceOf(f.escrow)).to.equal(OPG)
  })

  it('claimBy before the window: refused by name', async () => {
    const f = await loadFixture(uptoFixture)
    const { order, signature } = await payUpto(f)
    const data = fundingData(2n ** 32n - 1n, 0n, signature)
    await expect(f.escrow.openVia(f.adapter, f.terms, { order, data }))
      .to.be.revertedWithCustomError(f.adapter, 'ClaimByTooEarly')
      .withArgs(order.claimBy, 2n ** 32n - 1n)
  })

  it('a wallet contract that refuses, burns gas or answers with bombs: its order is skipped, the others open (E8)', async () => {
    const f = await loadFixture(uptoFixture)
    const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS])
    const from = await wallet.getAddress()
    await f.token.mint(from, 10n * OPG)
    for (const [mood, opens] of [0, 1, 2, 3, 4, 5].map((mood) => [mood, mood === 0 || mood === 3] as const)) {
      await wallet.setMood(mood)
      const funded = [(await payUpto(f, { from })).funded, (await payUpto(f)).funded]
      const before = await f.token.balanceOf(f.escrow)
      await f.escrow.openBatchVia(f.adapter, f.terms, funded, GAS_PER_FUNDING)
      expect((await f.token.balanceOf(f.escrow)) - before, `mood ${String(mood)}`).to.equal(opens ? 2n * OPG : OPG)
    }
  })
})
