import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256, Signature, Wallet, ZeroAddress, ZeroHash, id } from 'ethers'
import type { DevUptoProxy } from '../../packages/bindings/src/generated/typechain/contracts/dev/DevUptoProxy'
import type { HostileToken } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileToken'
import { DAY, OPG, PERMIT2_ADDRESS, deploy, now } from '../support/fixture'
import { UPTO_PROXY, payUpto, uptoFixture, type Authorization, type UptoPayment } from '../support/upto'

/** The twin in its place, called by a facilitator with a key, as stock ones are. */
async function proxyFixture() {
  const f = await uptoFixture()
  const twin = await deploy<DevUptoProxy>('DevUptoProxy')
  const proxy = twin.attach(UPTO_PROXY).connect(f.facilitator) as DevUptoProxy
  const pay = async (changes: Partial<Authorization> = {}, signer = f.payer) =>
    payUpto(f, { amount: 10n * OPG, facilitator: f.facilitator.address, to: f.node.address, ...changes }, { signer })
  return { ...f, proxy, pay }
}

/** The arguments of `settle`; for the whole amount, or for what is said. */
function settleArgs({ authorization, signature }: UptoPayment, taken?: bigint) {
  const { from, token, amount, nonce, deadline, to, facilitator, validAfter } = authorization
  const permit = { permitted: { token, amount }, nonce, deadline }
  return [permit, taken ?? amount, from, { to, facilitator, validAfter }, signature] as const
}

describe('DevUptoProxy, the twin of the x402 upto proxy', () => {
  it('uses the canonical Permit2, and hashes the witness of stock clients', async () => {
    const f = await loadFixture(proxyFixture)
    const witness = 'Witness(address to,address facilitator,uint256 validAfter)'
    expect(await f.proxy.PERMIT2()).to.equal(PERMIT2_ADDRESS)
    expect(await f.proxy.WITNESS_TYPEHASH()).to.equal(id(witness))
    expect(await f.proxy.WITNESS_TYPE_STRING()).to.equal(
      `Witness witness)TokenPermissions(address token,uint256 amount)${witness}`,
    )
  })

  for (const taken of [1n, 10n * OPG]) {
    it(`lets the facilitator take ${String(taken)} of 10 OPG, once`, async () => {
      const f = await loadFixture(proxyFixture)
      const payment = await f.pay()
      const sent = f.proxy.settle(...settleArgs(payment, taken))
      await expect(sent).to.emit(f.proxy, 'Settled')
      await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.node], [-taken, taken])
      await expect(f.proxy.settle(...settleArgs(payment, taken))).to.be.revertedWithCustomError(
        f.permit2Errors,
        'InvalidNonce',
      )
    })
  }

  it('refuses what the published proxy refuses, with its errors', async () => {
    const f = await loadFixture(proxyFixture)
    const payment = await f.pay()
    const cases: [string, UptoPayment, bigint?][] = [
      ['AmountExceedsPermitted', payment, 10n * OPG + 1n],
      ['InvalidDestination', await f.pay({ to: ZeroAddress })],
      ['InvalidOwner', await f.pay({ from: ZeroAddress })],
      ['PaymentTooEarly', await f.pay({ validAfter: (await now()) + DAY })],
      ['UnauthorizedFacilitator', await f.pay({ facilitator: f.stranger.address })],
    ]
    const approval = { value: 10n * OPG, deadline: MaxUint256, v: 27n, r: ZeroHash, s: ZeroHash }
    for (const [error, refused, taken] of cases) {
      const args = settleArgs(refused, taken)
      await expect(f.proxy.settle(...args)).to.be.revertedWithCustomError(f.proxy, error)
      await expect(f.proxy.settleWithPermit(approval, ...args)).to.be.revertedWithCustomError(f.proxy, error)
    }
    const other = { ...approval, value: 10n * OPG - 1n }
    await expect(f.proxy.settleWithPermit(other, ...settleArgs(payment))).to.be.revertedWithCustomError(
      f.proxy,
      'Permit2612AmountMismatch',
    )
  })

  it('approves Permit2 along the way, and goes on where that was done before', async () => {
    const f = await loadFixture(proxyFixture)
    const payer = new Wallet(id('payer of the proxy'))
    await f.token.mint(payer.address, 100n * OPG)
    const { name, version, chainId } = await f.token.eip712Domain()
    const fields = 'address owner,address spender,uint256 value,uint256 nonce,uint256 deadline'
    const signature = await payer.signTypedData(
      { name, version, chainId, verifyingContract: f.home.token },
      {
        Permit: fields.split(',').map((field) => {
          const [type = '', member = ''] = field.split(' ')
          return { type, name: member }
        }),
      },
      { owner: payer.address, spender: PERMIT2_ADDRESS, value: 10n * OPG, nonce: 0n, deadline: MaxUint256 },
    )
    const { v, r, s } = Signature.from(signature)
    const approval = { value: 10n * OPG, deadline: MaxUint256, v, r, s }
    const take = async (amount: bigint) => {
      const changes = { amount: 10n * OPG, facilitator: f.facilitator.address, to: f.node.address }
      const payment = await payUpto(f, { from: payer.address, ...changes }, { signer: payer })
      return f.proxy.settleWithPermit(approval, ...settleArgs(payment, amount))
    }
    await expect(take(4n * OPG)).to.emit(f.proxy, 'SettledWithPermit')
    await expect(take(6n * OPG)).to.changeTokenBalance(f.token, f.node, 6n * OPG)
    await expect(take(1n)).to.be.reverted // the approval is used up
  })

  it('token that calls back: one settlement at a time', async () => {
    const f = await loadFixture(proxyFixture)
    const token = await deploy<HostileToken>('HostileToken')
    const home = await token.getAddress()
    await token.mint(f.payer, 100n * OPG)
    await token.connect(f.payer).approve(PERMIT2_ADDRESS, MaxUint256)
    const [outer, inner] = [await f.pay({ token: home }), await f.pay({ token: home, facilitator: home })]
    await token.setCallback(UPTO_PROXY, f.proxy.interface.encodeFunctionData('settle', [...settleArgs(inner)]))
    await f.proxy.settle(...settleArgs(outer))
    expect(await token.balanceOf(f.node)).to.equal(10n * OPG)
    expect(await token.callbackSucceeded()).to.equal(false)
    expect(await token.callbackAnswer()).to.equal(f.proxy.interface.getError('ReentrancyGuardReentrantCall')?.selector)
  })
})
