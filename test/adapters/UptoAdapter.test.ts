import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256, Signature, ZeroAddress, keccak256 } from 'ethers'
import { artifacts, ethers } from 'hardhat'
import { DAY, OPG, PERMIT2_ADDRESS, createPayer, now, settleRow, settleRows } from '../support/fixture'
import { CLAIM_WINDOW, GAS_PER_FUNDING, UPTO_PROXY, fundingData, payUpto, uptoFixture } from '../support/upto'

describe('UptoAdapter', () => {
  it('opens the order that a stock upto signature and its offer make', async () => {
    const f = await loadFixture(uptoFixture)
    const { order, orderId, funded } = await payUpto(f)
    expect(await f.escrow.openVia.staticCall(f.adapter, f.terms, funded)).to.equal(true)
    const sent = f.escrow.openVia(f.adapter, f.terms, funded)
    await expect(sent)
      .to.emit(f.escrow, 'OrderOpened')
      .withArgs(orderId, f.payer.address, f.node.address, order.amount, order.claimBy)
    await expect(sent).to.changeTokenBalances(
      f.token,
      [f.payer, f.escrow, f.adapter, f.desk],
      [-order.amount, order.amount, 0n, 0n],
    )
  })

  it('pays the node by evidence and returns the rest, as of any order', async () => {
    const f = await loadFixture(uptoFixture)
    const { order, funded } = await payUpto(f)
    await f.escrow.openVia(f.adapter, f.terms, funded)
    await expect(settleRows(f, [settleRow(order, OPG / 4n, { close: true })])).to.changeTokenBalance(
      f.token,
      f.payer,
      (OPG * 3n) / 4n,
    )
  })

  it('creates the desk with the first payment, where deskOf says, and uses it again', async () => {
    const f = await loadFixture(uptoFixture)
    const { bytecode } = await artifacts.readArtifact('UptoDesk')
    expect(await f.adapter.DESK_INIT_CODE_HASH()).to.equal(keccak256(bytecode))
    expect(await ethers.provider.getCode(f.desk)).to.equal('0x')
    await f.escrow.openVia(f.adapter, f.terms, (await payUpto(f)).funded)
    expect(await ethers.provider.getCode(f.desk)).not.to.equal('0x')
    expect(await f.adapter.deskOf(f.terms, CLAIM_WINDOW)).to.equal(f.desk)
    await f.escrow.openVia(f.adapter, f.terms, (await payUpto(f)).funded)
    expect(await f.token.balanceOf(f.escrow)).to.equal(2n * OPG)
  })

  it('has another desk for each member of an offer', async () => {
    const f = await loadFixture(uptoFixture)
    const others = [
      { ...f.terms, node: f.otherNode.address },
      { ...f.terms, facilitator: f.stranger.address },
      { ...f.terms, facilitatorBps: f.terms.facilitatorBps + 1n },
      { ...f.terms, verifier: f.home.token },
      { ...f.terms, evidenceKey: `0x${'11'.repeat(32)}` },
      { ...f.terms, modelId: `0x${'22'.repeat(32)}` },
    ]
    const desks = await Promise.all(others.map((terms) => f.adapter.deskOf(terms, CLAIM_WINDOW)))
    desks.push(await f.adapter.deskOf(f.terms, CLAIM_WINDOW + 1n), f.desk)
    expect(new Set(desks).size).to.equal(8)
  })

  it('opens a batch of several payers in one call', async () => {
    const f = await loadFixture(uptoFixture)
    const payments = [
      await payUpto(f),
      await payUpto(f, { from: f.otherPayer.address }, { signer: f.otherPayer }),
      await payUpto(f, { amount: 1n }),
    ]
    const funded = payments.map((payment) => payment.funded)
    const sent = f.escrow.openBatchVia(f.adapter, f.terms, funded, GAS_PER_FUNDING)
    await expect(sent).to.changeTokenBalances(
      f.token,
      [f.payer, f.otherPayer, f.escrow],
      [-OPG - 1n, -OPG, 2n * OPG + 1n],
    )
  })

  it('skips what cannot open in a batch, and opens the others (E8)', async () => {
    const f = await loadFixture(uptoFixture)
    const good = await payUpto(f)
    const forged = await payUpto(f, {}, { signer: f.stranger })
    const poor = await payUpto(f, { amount: 10n ** 27n })
    const malformed = { ...(await payUpto(f)).funded, data: '0x1234' }
    const last = await payUpto(f)
    const funded = [forged.funded, good.funded, malformed, poor.funded, last.funded]
    const opened = await f.escrow.openBatchVia.staticCall(f.adapter, f.terms, funded, GAS_PER_FUNDING)
    expect(opened).to.deep.equal([false, true, false, false, true])
    await expect(f.escrow.openBatchVia(f.adapter, f.terms, funded, GAS_PER_FUNDING)).to.changeTokenBalance(
      f.token,
      f.escrow,
      2n * OPG,
    )
  })

  it('opens for a payer that approves Permit2 in the same transaction', async () => {
    const f = await loadFixture(uptoFixture)
    const payer = await createPayer(f.token, 'without approval')
    await f.token.connect(payer).approve(PERMIT2_ADDRESS, 0)
    const { funded } = await payUpto(f, { from: payer.address }, { signer: payer })
    await expect(f.escrow.openVia(f.adapter, f.terms, funded)).to.be.revertedWith('TRANSFER_FROM_FAILED')

    const domain = {
      name: await f.token.name(),
      version: '1',
      chainId: f.home.chainId,
      verifyingContract: f.home.token,
    }
    const types = {
      Permit: ['address owner', 'address spender', 'uint256 value', 'uint256 nonce', 'uint256 deadline'].map(
        (field) => {
          const [type = '', name = ''] = field.split(' ')
          return { name, type }
        },
      ),
    }
    const value = { owner: payer.address, spender: PERMIT2_ADDRESS, value: OPG, nonce: 0n, deadline: MaxUint256 }
    const { v, r, s } = Signature.from(await payer.signTypedData(domain, types, value))
    const { interface: escrow } = f.escrow
    const calls = [
      escrow.encodeFunctionData('tryPermit', [payer.address, OPG, MaxUint256, v, r, s]),
      escrow.encodeFunctionData('openVia', [await f.adapter.getAddress(), f.terms, funded]),
    ]
    await expect(f.escrow.multicall(calls)).to.changeTokenBalance(f.token, f.escrow, OPG)
  })

  context('at its times', () => {
    for (const [offset, opens] of [
      [-1n, true],
      [0n, true],
      [1n, false],
    ] as const) {
      it(`${opens ? 'opens' : 'refuses'} at the signed deadline ${offset < 0n ? '' : '+'}${String(offset)}`, async () => {
        const f = await loadFixture(uptoFixture)
        const { authorization, funded } = await payUpto(f)
        await time.setNextBlockTimestamp(authorization.deadline + offset)
        const sent = f.escrow.openVia(f.adapter, f.terms, funded)
        if (opens) await expect(sent).to.emit(f.escrow, 'OrderOpened')
        else await expect(sent).to.be.revertedWithCustomError(f.permit2Errors, 'SignatureExpired')
      })
    }

    for (const [offset, opens] of [
      [-1n, false],
      [0n, true],
      [1n, true],
    ] as const) {
      it(`${opens ? 'opens' : 'refuses'} at validAfter ${offset < 0n ? '' : '+'}${String(offset)}`, async () => {
        const f = await loadFixture(uptoFixture)
        const validAfter = BigInt(await time.latest()) + 100n
        const { funded } = await payUpto(f, { validAfter })
        await time.setNextBlockTimestamp(validAfter + offset)
        const sent = f.escrow.openVia(f.adapter, f.terms, funded)
        if (opens) await expect(sent).to.emit(f.escrow, 'OrderOpened')
        else await expect(sent).to.be.revertedWithCustomError({ interface: await proxyInterface() }, 'PaymentTooEarly')
      })
    }

    for (const [offset, opens] of [
      [-1n, true],
      [0n, true],
      [1n, false],
    ] as const) {
      it(`${opens ? 'opens' : 'refuses'} with claimBy at 90 days ${offset < 0n ? '' : '+'}${String(offset)} (F10)`, async () => {
        const f = await loadFixture(uptoFixture)
        const at = (await now()) + 10n
        const { funded } = await payUpto(f, { deadline: at + 90n * DAY - CLAIM_WINDOW + offset })
        await time.setNextBlockTimestamp(at)
        const sent = f.escrow.openVia(f.adapter, f.terms, funded)
        if (opens) await expect(sent).to.emit(f.escrow, 'OrderOpened')
        else await expect(sent).to.be.revertedWithCustomError(f.escrow, 'ClaimByTooFar')
      })
    }
  })

  context('when the offer leaves no time to claim', () => {
    it('opens until a second before the signed deadline, which is claimBy too', async () => {
      const f = await loadFixture(uptoFixture)
      const facilitator = await f.adapter.deskOf(f.terms, 0n)
      const [first, second] = [
        await payUpto(f, { facilitator }, { claimWindow: 0n }),
        await payUpto(f, { facilitator }, { claimWindow: 0n }),
      ]
      expect(first.order.claimBy).to.equal(first.authorization.deadline)
      await time.setNextBlockTimestamp(first.order.claimBy - 1n)
      await expect(f.escrow.openVia(f.adapter, f.terms, first.funded)).to.emit(f.escrow, 'OrderOpened')
      await time.setNextBlockTimestamp(second.order.claimBy)
      await expect(f.escrow.openVia(f.adapter, f.terms, second.funded)).to.be.revertedWithCustomError(
        f.escrow,
        'OrderExpired',
      )
    })
  })

  it('takes the largest window that a claimBy can hold', async () => {
    const f = await loadFixture(uptoFixture)
    // The window reaches back to the first second of 1970 and one more: a deadline of zero, and of less.
    const claimBy = (await now()) + DAY
    const { order, signature } = await payUpto(f)
    const funded = (claimWindow: bigint) => ({
      order: { ...order, claimBy },
      data: fundingData(claimWindow, 0n, signature),
    })
    await expect(f.escrow.openVia(f.adapter, f.terms, funded(claimBy)))
      .to.be.revertedWithCustomError(f.permit2Errors, 'SignatureExpired')
      .withArgs(0n)
    await expect(f.escrow.openVia(f.adapter, f.terms, funded(claimBy + 1n)))
      .to.be.revertedWithCustomError(f.adapter, 'ClaimByTooEarly')
      .withArgs(claimBy, claimBy + 1n)
  })

  it('opens routed orders too, whose facilitator the offer names', async () => {
    const f = await loadFixture(uptoFixture)
    const terms = { ...f.terms, node: ZeroAddress }
    const { orderId, funded } = await payUpto(
      f,
      { facilitator: await f.adapter.deskOf(terms, CLAIM_WINDOW) },
      { terms },
    )
    await f.escrow.openVia(f.adapter, terms, funded)
    expect((await f.escrow.orders(orderId)).amount).to.equal(OPG)
  })

  it('knows its escrow and the proxy', async () => {
    const f = await loadFixture(uptoFixture)
    expect(await f.adapter.ESCROW()).to.equal(f.home.escrow)
    expect(await f.adapter.PROXY()).to.equal(UPTO_PROXY)
  })
})

async function proxyInterface() {
  return new ethers.Interface((await artifacts.readArtifact('DevUptoProxy')).abi)
}
