import { loadFixture, setBalance, setCode } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256, concat, dataSlice, parseEther, toBeHex } from 'ethers'
import { artifacts, ethers } from 'hardhat'
import type { UptoDesk } from '../../packages/bindings/src/generated/typechain/contracts/adapters/UptoDesk'
import type { HostileFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFunder'
import type { HostileToken } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileToken'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import type { StarvingRelayer } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/StarvingRelayer'
import {
  OPG,
  PERMIT2_ADDRESS,
  createPayer,
  deploy,
  deployAround,
  makeOrder,
  orderIdOf,
  signOrder,
} from '../support/fixture'
import { installPermit2 } from '../support/permit2'
import {
  CLAIM_WINDOW,
  GAS_PER_FUNDING,
  UPTO_PROXY,
  fundingData,
  payUpto,
  uptoFixture,
  withUpto,
  type UptoFixture,
} from '../support/upto'

const HostileTokenMood = { Honest: 0, TakesFee: 1 } as const
const CALLS_BACK = '0x09'
const BURNS_GAS = 2

async function hostileTokenFixture() {
  await installPermit2()
  const token = await deploy<HostileToken>('HostileToken')
  const world = await deployAround(await token.getAddress())
  for (const payer of [world.payer, world.otherPayer]) {
    await token.mint(payer, 1_000n * OPG)
    await token.connect(payer).approve(PERMIT2_ADDRESS, MaxUint256)
  }
  return { ...(await withUpto(world)), token }
}

/** A payer whose account delegates to the code of `contract` (EIP-7702). */
async function delegatingPayer(f: UptoFixture, contract: string) {
  const payer = await createPayer(f.token, `delegates to ${contract}`)
  await setCode(payer.address, concat(['0xef0100', contract]))
  return payer
}

async function proxyAs(signer: UptoFixture['stranger']) {
  const { abi } = await artifacts.readArtifact('DevUptoProxy')
  return new ethers.Contract(UPTO_PROXY, abi, signer)
}

describe('foreign code and accounts around stock upto payments', () => {
  describe('tokens', () => {
    it('fee-on-transfer token: no order opens, alone or in a batch (E1)', async () => {
      const f = await loadFixture(hostileTokenFixture)
      await f.token.setMood(HostileTokenMood.TakesFee, f.home.escrow)
      const { funded } = await payUpto(f)
      const second = await payUpto(f, { from: f.otherPayer.address }, { signer: f.otherPayer })
      const received = (OPG * 99n) / 100n
      await expect(f.escrow.openVia(f.adapter, f.terms, funded))
        .to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
        .withArgs(OPG, received)
      await expect(f.escrow.openBatchVia(f.adapter, f.terms, [funded, second.funded], GAS_PER_FUNDING))
        .to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
        .withArgs(2n * OPG, 2n * received)
    })

    it("token that opens another payer's payment while the first one moves: shut out, and it opens later (E5)", async () => {
      const f = await loadFixture(hostileTokenFixture)
      const { funded, orderId } = await payUpto(f)
      const victim = await payUpto(f, { from: f.otherPayer.address }, { signer: f.otherPayer })
      const openVictim = f.escrow.interface.encodeFunctionData('openVia', [
        await f.adapter.getAddress(),
        f.terms,
        victim.funded,
      ])
      await f.token.setCallback(f.escrow, openVictim)
      await f.escrow.openVia(f.adapter, f.terms, funded)
      expect(await f.token.callbackSucceeded()).to.equal(false)
      expect((await f.escrow.orders(orderId)).amount).to.equal(OPG)
      expect((await f.escrow.orders(victim.orderId)).amount).to.equal(0n)
      await expect(f.escrow.openVia(f.adapter, f.terms, victim.funded)).to.emit(f.escrow, 'OrderOpened')
    })
  })

  it("funder opens a victim's payment inside its own opening, to count the victim's tokens as its own (E1, E10)", async () => {
    const f = await loadFixture(uptoFixture)
    const victim = await payUpto(f)
    const funder = await deploy<HostileFunder>('HostileFunder', [f.home.token])
    const order = await makeOrder(f, { payer: f.stranger.address, amount: OPG })
    const openVictim = f.escrow.interface.encodeFunctionData('openVia', [
      await f.adapter.getAddress(),
      f.terms,
      victim.funded,
    ])
    const thief = { order, data: concat([CALLS_BACK, openVictim]) }
    await expect(f.escrow.openVia(funder, f.terms, thief)).to.be.reverted // it has nothing of its own to deliver
    await f.token.mint(funder, OPG)
    await f.escrow.openVia(funder, f.terms, thief)
    expect(await funder.callbackSucceeded()).to.equal(false)
    expect(dataSlice(await funder.callbackAnswer(), 0, 4)).to.equal(
      f.escrow.interface.getError('ReentrancyGuardReentrantCall')?.selector,
    )
    await expect(f.escrow.openVia(f.adapter, f.terms, victim.funded)).to.changeTokenBalance(f.token, f.payer, -OPG)
  })

  describe('payers with code', () => {
    it('payer that delegates to a wallet (EIP-7702): the wallet signs', async () => {
      const f = await loadFixture(uptoFixture)
      const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS])
      const payer = await delegatingPayer(f, await wallet.getAddress())
      const { orderId, funded } = await payUpto(f, { from: payer.address }, { signer: f.stranger })
      await expect(f.escrow.openVia(f.adapter, f.terms, funded)).to.changeTokenBalance(f.token, payer, -OPG)
      expect((await f.escrow.orders(orderId)).amount).to.equal(OPG)
    })

    it("payer that delegates to code which signs for nobody (EIP-7702): skipped, the key's own signature too (E8)", async () => {
      const f = await loadFixture(uptoFixture)
      const payer = await delegatingPayer(f, f.home.token)
      const delegated = await payUpto(f, { from: payer.address }, { signer: payer })
      const funded = [delegated.funded, (await payUpto(f)).funded]
      const opened = await f.escrow.openBatchVia.staticCall(f.adapter, f.terms, funded, GAS_PER_FUNDING)
      expect(opened).to.deep.equal([false, true])
    })

    it('adapter, desk, proxy or escrow named as the payer: nothing of what lies there opens an order', async () => {
      const f = await loadFixture(uptoFixture)
      await f.escrow.openVia(f.adapter, f.terms, (await payUpto(f)).funded) // so that the desk stands
      for (const from of [await f.adapter.getAddress(), f.desk, UPTO_PROXY, f.home.escrow]) {
        await f.token.mint(from, OPG)
        const { funded } = await payUpto(f, { from })
        await expect(f.escrow.openVia(f.adapter, f.terms, funded), from).to.be.reverted
        const opened = await f.escrow.openBatchVia.staticCall(f.adapter, f.terms, [funded], GAS_PER_FUNDING)
        expect(opened, from).to.deep.equal([false])
      }
    })
  })

  describe('the desk', () => {
    it('coin sent to its address before it stands: it is created all the same, and takes none after', async () => {
      const f = await loadFixture(uptoFixture)
      await setBalance(f.desk, parseEther('1'))
      await f.escrow.openVia(f.adapter, f.terms, (await payUpto(f)).funded)
      expect(await ethers.provider.getCode(f.desk)).not.to.equal('0x')
      expect(await ethers.provider.getBalance(f.desk)).to.equal(parseEther('1'))
      await expect(f.stranger.sendTransaction({ to: f.desk, value: 1n })).to.be.reverted
    })

    it("stranger's desk of the same code: it serves the stranger, at an address that no payer of the offer signed", async () => {
      const f = await loadFixture(uptoFixture)
      const own = await deploy<UptoDesk>('UptoDesk', [], f.stranger)
      expect(await own.getAddress()).not.to.equal(f.desk)
      const { authorization, signature } = await payUpto(f)
      const { token, amount, nonce, deadline, from, to, facilitator, validAfter } = authorization
      const proxy = await proxyAs(f.stranger)
      const permit = { permitted: { token, amount }, nonce, deadline }
      const settle = (named: string) => {
        const witness = { to, facilitator: named, validAfter }
        const data = proxy.interface.encodeFunctionData('settle', [permit, amount, from, witness, signature])
        return f.stranger.sendTransaction({ to: own, data })
      }
      await expect(settle(facilitator)).to.be.revertedWithCustomError(proxy, 'UnauthorizedFacilitator')
      await expect(settle(await own.getAddress())).to.be.revertedWithCustomError(f.permit2Errors, 'InvalidSigner')
    })

    it('adapter asked for the proxy with other calls: a desk stands behind `fund` only', async () => {
      const f = await loadFixture(uptoFixture)
      const proxy = await proxyAs(f.stranger)
      const selectors = f.adapter.interface.fragments.filter((one) => one.type === 'function')
      expect(selectors.map((one) => ('name' in one ? one.name : '')).sort()).to.deep.equal(
        ['DESK_INIT_CODE_HASH', 'ESCROW', 'PROXY', 'deskOf', 'fund'].sort(),
      )
      const data = proxy.interface.getFunction('settleWithPermit')?.selector ?? '0x'
      await expect(f.stranger.sendTransaction({ to: f.adapter, data })).to.be.reverted
    })
  })

  describe('what else could open', () => {
    it("the payer's own permit for the very same order: one order, paid for once, whichever comes first (E5)", async () => {
      const f = await loadFixture(uptoFixture)
      for (const stockFirst of [true, false]) {
        const { order, orderId, funded } = await payUpto(f)
        const signed = await signOrder(f, f.payer, order)
        const before = await f.token.balanceOf(f.payer)
        const byStock = () => f.escrow.openVia(f.adapter, f.terms, funded)
        const byPermit = () => f.escrow.open(f.terms, signed)
        for (const open of stockFirst ? [byStock, byPermit] : [byPermit, byStock]) await open()
        expect(before - (await f.token.balanceOf(f.payer))).to.equal(OPG)
        expect((await f.escrow.orders(orderId)).amount).to.equal(OPG)
      }
    })

    it('either signature in the place of the other: nothing opens', async () => {
      const f = await loadFixture(uptoFixture)
      const { order, authorization, signature } = await payUpto(f)
      const signed = await signOrder(f, f.payer, order, { deadline: authorization.deadline })
      await expect(f.escrow.open(f.terms, { ...signed, signature })).to.be.revertedWithCustomError(
        f.permit2Errors,
        'InvalidSigner',
      )
      const data = fundingData(CLAIM_WINDOW, 0n, signed.signature)
      await expect(f.escrow.openVia(f.adapter, f.terms, { order, data })).to.be.revertedWithCustomError(
        f.permit2Errors,
        'InvalidSigner',
      )
    })

    it('malformed data of every kind: refused, and the others open (E8)', async () => {
      const f = await loadFixture(uptoFixture)
      const { order, signature } = await payUpto(f)
      const word = (value: bigint) => toBeHex(value, 32)
      const good = fundingData(CLAIM_WINDOW, 0n, signature)
      const cases: Readonly<Record<string, string>> = {
        empty: '0x',
        'one word': word(CLAIM_WINDOW),
        'cut off in the signature': dataSlice(good, 0, 4 * 32 + 64),
        'a window of 33 bits': concat([word(CLAIM_WINDOW + 2n ** 32n), dataSlice(good, 32)]),
        'a signature that begins behind the end': concat([word(CLAIM_WINDOW), word(0n), word(10_000n)]),
        'a signature that begins before the start': concat([word(CLAIM_WINDOW), word(0n), word(MaxUint256 - 31n)]),
        'a signature longer than memory': concat([word(CLAIM_WINDOW), word(0n), word(96n), word(2n ** 64n)]),
        'no signature': fundingData(CLAIM_WINDOW, 0n, '0x'),
        'a signature too long': fundingData(CLAIM_WINDOW, 0n, concat([signature, '0x00'])),
        'a signature of 10,000 bytes': fundingData(CLAIM_WINDOW, 0n, `0x${'01'.repeat(10_000)}`),
      }
      for (const [name, data] of Object.entries(cases)) {
        await expect(f.escrow.openVia(f.adapter, f.terms, { order, data }), name).to.be.reverted
        const funded = [{ order, data }, (await payUpto(f)).funded]
        const opened = await f.escrow.openBatchVia.staticCall(f.adapter, f.terms, funded, GAS_PER_FUNDING)
        expect(opened, name).to.deep.equal([false, true])
      }
      // What follows the signature means nothing, so nobody gains by adding it.
      const trailing = { order, data: concat([good, word(7n)]) }
      await expect(f.escrow.openVia(f.adapter, f.terms, trailing)).to.changeTokenBalance(f.token, f.payer, -OPG)
    })
  })

  describe('relayer starves a batch of gas: the whole call reverts, or every honest order opens (F5, E8)', () => {
    async function expectNeverStarved(f: UptoFixture): Promise<void> {
      const relayer = await deploy<StarvingRelayer>('StarvingRelayer')
      const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS])
      await f.token.mint(wallet, OPG)
      await wallet.setMood(BURNS_GAS)
      const funded = [
        (await payUpto(f, { from: await wallet.getAddress() })).funded,
        (await payUpto(f)).funded,
        (await payUpto(f)).funded,
      ]
      const data = f.escrow.interface.encodeFunctionData('openBatchVia', [
        await f.adapter.getAddress(),
        f.terms,
        funded,
        GAS_PER_FUNDING,
      ])
      const check = async (gasLimit: bigint): Promise<boolean> => {
        const [success, answer] = await relayer.relay.staticCall(f.home.escrow, gasLimit, data)
        if (success) {
          const opened = f.escrow.interface.decodeFunctionResult('openBatchVia', answer)[0] as boolean[]
          expect([...opened], `with ${String(gasLimit)} gas`).to.deep.equal([false, true, true])
        }
        return success
      }
      let [tooLittle, enough] = [0n, 2_000_000n]
      expect(await check(enough)).to.equal(true)
      for (let gasLimit = enough; gasLimit > 0n; gasLimit -= 20_000n) await check(gasLimit)
      while (enough - tooLittle > 1n) {
        const middle = (tooLittle + enough) / 2n
        if (await check(middle)) enough = middle
        else tooLittle = middle
      }
      for (let gasLimit = enough - 40n; gasLimit <= enough + 40n; gasLimit += 4n) await check(gasLimit)
      expect(enough).to.be.greaterThan(GAS_PER_FUNDING)
    }

    it('with the desk to be created', async () => {
      await expectNeverStarved(await loadFixture(uptoFixture))
    })

    it('with the desk there', async () => {
      const f = await loadFixture(uptoFixture)
      await f.escrow.openVia(f.adapter, f.terms, (await payUpto(f)).funded)
      await expectNeverStarved(f)
    })

    it('gasPerOrder too small for the desk: reported, nothing moves, and it opens later', async () => {
      const f = await loadFixture(uptoFixture)
      const { order, funded } = await payUpto(f)
      const sent = f.escrow.openBatchVia(f.adapter, f.terms, [funded], 100_000n)
      await expect(sent)
        .to.emit(f.escrow, 'OpenFailed')
        .withArgs(orderIdOf(f.home, f.terms, order), f.escrow.interface.getError('PullFailed')?.selector)
      await expect(sent).to.changeTokenBalance(f.token, f.payer, 0n)
      expect(await ethers.provider.getCode(f.desk)).to.equal('0x')
      await expect(f.escrow.openVia(f.adapter, f.terms, funded)).to.emit(f.escrow, 'OrderOpened')
    })
  })
})
