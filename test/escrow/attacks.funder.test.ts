import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256, concat, toBeHex } from 'ethers'
import type { HostileFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFunder'
import type { StarvingRelayer } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/StarvingRelayer'
import { OPG, PERMIT2_ADDRESS, deploy, deployFixture, makeOrder, openOrder, orderIdOf } from '../support/fixture'

const Mood = {
  Delivers: 0,
  TooLittle: 1,
  TooMuch: 2,
  Nothing: 3,
  Twice: 4,
  Reverts: 5,
  BurnsGas: 6,
  ReturnBomb: 7,
  RevertBomb: 8,
  CallsBack: 9,
  TakesFromPayer: 10,
} as const

const GAS_PER_ORDER = 120_000n

async function hostileFunderFixture() {
  const f = await deployFixture()
  const funder = await deploy<HostileFunder>('HostileFunder', [f.home.token])
  await f.token.mint(funder, 1_000n * OPG)
  const relayer = await deploy<StarvingRelayer>('StarvingRelayer')
  await openOrder(f) // money of others, which a funder could be after
  return { ...f, funder, relayer, escrow: f.escrow.connect(f.stranger) }
}

type FunderFixture = Awaited<ReturnType<typeof hostileFunderFixture>>

async function orderWith(f: FunderFixture, mood: keyof typeof Mood, rest = '0x') {
  const order = await makeOrder(f)
  return { order, data: concat([toBeHex(Mood[mood], 1), rest]) }
}

describe('attacks by funders', () => {
  for (const [mood, received] of [
    ['TooLittle', 10n * OPG - 1n],
    ['TooMuch', 10n * OPG + 1n],
    ['Nothing', 0n],
    ['Twice', 20n * OPG],
  ] as const) {
    it(`funder lies about what it delivers (${mood}): the call reverts whole, alone or in a batch (E1)`, async () => {
      const f = await loadFixture(hostileFunderFixture)
      const funded = await orderWith(f, mood)
      await expect(f.escrow.openVia(f.funder, f.terms, funded))
        .to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
        .withArgs(10n * OPG, received)
      const batch = [await orderWith(f, 'Delivers'), funded]
      await expect(f.escrow.openBatchVia(f.funder, f.terms, batch, GAS_PER_ORDER))
        .to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
        .withArgs(20n * OPG, 10n * OPG + received)
      for (const { order } of batch)
        expect((await f.escrow.orders(orderIdOf(f.home, f.terms, order))).openedAt).to.equal(0n)
      expect(await f.token.balanceOf(f.escrow)).to.equal(10n * OPG)
    })
  }

  it('funder delivers for two at once: what counts is that the whole arrived (E1)', async () => {
    const f = await loadFixture(hostileFunderFixture)
    const batch = [await orderWith(f, 'Twice'), await orderWith(f, 'Nothing')]
    await expect(f.escrow.openBatchVia(f.funder, f.terms, batch, GAS_PER_ORDER)).to.changeTokenBalance(
      f.token,
      f.escrow,
      20n * OPG,
    )
  })

  it('funder without the money: nothing opens, and in a batch the others do (E8)', async () => {
    const f = await loadFixture(hostileFunderFixture)
    const order = await makeOrder(f, { amount: 2_000n * OPG })
    await expect(f.escrow.openVia(f.funder, f.terms, { order, data: '0x' })).to.be.revertedWithCustomError(
      f.token,
      'ERC20InsufficientBalance',
    )
    const batch = [{ order, data: '0x' }, await orderWith(f, 'Delivers')]
    expect(await f.escrow.openBatchVia.staticCall(f.funder, f.terms, batch, GAS_PER_ORDER)).to.deep.equal([false, true])
  })

  for (const mood of ['Reverts', 'BurnsGas', 'RevertBomb', 'ReturnBomb'] as const) {
    it(`funder answers one order with ${mood}: the others open, and it costs no more than its gas (F5, E8)`, async () => {
      const f = await loadFixture(hostileFunderFixture)
      const calm = [await orderWith(f, 'Delivers'), await orderWith(f, 'Delivers'), await orderWith(f, 'Delivers')]
      const plain = await f.escrow.openBatchVia.estimateGas(f.funder, f.terms, calm, GAS_PER_ORDER)
      const batch = [calm[0], await orderWith(f, mood), calm[2]].filter((one) => one !== undefined)
      const delivers = mood === 'ReturnBomb' // a flood of an answer is not read
      const opened = await f.escrow.openBatchVia.staticCall(f.funder, f.terms, batch, GAS_PER_ORDER)
      expect([...opened]).to.deep.equal([true, delivers, true])
      const sent = await f.escrow.openBatchVia(f.funder, f.terms, batch, GAS_PER_ORDER)
      expect((await sent.wait())?.gasUsed ?? MaxUint256).to.be.lessThan(plain + GAS_PER_ORDER)
    })
  }

  it("passes the funder's own error on where it is alone", async () => {
    const f = await loadFixture(hostileFunderFixture)
    const funded = await orderWith(f, 'Reverts')
    await expect(f.escrow.openVia(f.funder, f.terms, funded))
      .to.be.revertedWithCustomError(f.funder, 'Refused')
      .withArgs(orderIdOf(f.home, f.terms, funded.order))
  })

  it("funder reaches for the payer's money: approvals of Permit2 and of the escrow are none of its own (E10)", async () => {
    const f = await loadFixture(hostileFunderFixture)
    await f.token.connect(f.payer).approve(f.home.escrow, MaxUint256)
    const funded = await orderWith(f, 'TakesFromPayer')
    await expect(f.escrow.openVia(f.funder, f.terms, funded)).to.be.revertedWithCustomError(
      f.token,
      'ERC20InsufficientAllowance',
    )
    const opened = await f.escrow.openBatchVia.staticCall(f.funder, f.terms, [funded], GAS_PER_ORDER)
    expect([...opened]).to.deep.equal([false])
    const before = await f.token.balanceOf(f.payer)
    for (const target of [f.home.token, PERMIT2_ADDRESS, f.home.escrow, await f.registry.getAddress()]) {
      await expect(f.escrow.openVia(target, f.terms, funded)).to.be.reverted
      await f.escrow.openBatchVia(target, f.terms, [funded], GAS_PER_ORDER)
    }
    expect(await f.token.balanceOf(f.payer)).to.equal(before)
    expect(await f.token.balanceOf(f.escrow)).to.equal(10n * OPG)
  })

  it('account without code as funder: nothing arrives, nothing opens (E1)', async () => {
    const f = await loadFixture(hostileFunderFixture)
    const funded = await orderWith(f, 'Delivers')
    await expect(f.escrow.openVia(f.stranger, f.terms, funded)).to.be.reverted
    await expect(f.escrow.openBatchVia(f.stranger, f.terms, [funded], GAS_PER_ORDER))
      .to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
      .withArgs(10n * OPG, 0n)
  })

  describe('relayer starves an honest order of gas: the whole call reverts, or the order opens (F5, E8)', () => {
    async function expectNeverStarved(f: FunderFixture, moods: (keyof typeof Mood)[], expected: boolean[]) {
      const batch = []
      for (const mood of moods) batch.push(await orderWith(f, mood))
      const data = f.escrow.interface.encodeFunctionData('openBatchVia', [
        await f.funder.getAddress(),
        f.terms,
        batch,
        GAS_PER_ORDER,
      ])
      const check = async (gasLimit: bigint): Promise<boolean> => {
        const [success, answer] = await f.relayer.relay.staticCall(f.home.escrow, gasLimit, data)
        if (success) {
          const opened = f.escrow.interface.decodeFunctionResult('openBatchVia', answer)[0] as boolean[]
          expect([...opened], `with ${String(gasLimit)} gas`).to.deep.equal(expected)
        }
        return success
      }
      const ample = 400_000n * BigInt(batch.length) + 200_000n
      expect(await check(ample)).to.equal(true)
      for (let gasLimit = ample; gasLimit > 0n; gasLimit -= ample / 150n) await check(gasLimit)
      let [tooLittle, enough] = [0n, ample]
      while (enough - tooLittle > 1n) {
        const middle = (tooLittle + enough) / 2n
        if (await check(middle)) enough = middle
        else tooLittle = middle
      }
      for (let gasLimit = enough - 60n; gasLimit <= enough + 60n; gasLimit++) await check(gasLimit)
      expect(enough).to.be.greaterThan(GAS_PER_ORDER)
    }

    it('alone', async () => {
      await expectNeverStarved(await loadFixture(hostileFunderFixture), ['Delivers'], [true])
    })

    it('behind one for which the funder burns all its gas', async () => {
      await expectNeverStarved(
        await loadFixture(hostileFunderFixture),
        ['BurnsGas', 'Delivers', 'Delivers'],
        [false, true, true],
      )
    })

    it('says how much gas it wants', async () => {
      const f = await loadFixture(hostileFunderFixture)
      const funded = await orderWith(f, 'Delivers')
      await expect(
        f.escrow.openBatchVia(f.funder, f.terms, [funded], 10n ** 9n, { gasLimit: 2_000_000n }),
      ).to.be.revertedWithCustomError(f.escrow, 'GasTooLow')
      await expect(f.escrow.openBatchVia(f.funder, f.terms, [funded], 1n))
        .to.emit(f.escrow, 'OpenFailed')
        .withArgs(orderIdOf(f.home, f.terms, funded.order), f.escrow.interface.getError('PullFailed')?.selector)
    })
  })
})
