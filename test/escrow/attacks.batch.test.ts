import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256 } from 'ethers'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import type { StarvingRelayer } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/StarvingRelayer'
import {
  GAS_PER_ORDER,
  OPG,
  PERMIT2_ADDRESS,
  createPayer,
  deploy,
  deployFixture,
  makeOrder,
  orderIdOf,
  signOrder,
  type Fixture,
  type SignedOrder,
} from '../support/fixture'

const Mood = {
  Signs: 0,
  Refuses: 1,
  BurnsGas: 2,
  ReturnBomb: 3,
  RevertBomb: 4,
  ShortAnswer: 5,
  DirtyAnswer: 6,
} as const

async function batchFixture() {
  const f = await deployFixture()
  const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS])
  await f.token.mint(wallet, 1_000n * OPG)
  const relayer = await deploy<StarvingRelayer>('StarvingRelayer')
  return { ...f, wallet, relayer }
}

type BatchFixture = Awaited<ReturnType<typeof batchFixture>>

async function orderOfWallet(f: BatchFixture): Promise<SignedOrder> {
  const order = await makeOrder(f, { payer: await f.wallet.getAddress() })
  return { order, deadline: order.claimBy, signature: '0x1234' }
}

async function honestOrder(f: Fixture, name: string): Promise<SignedOrder> {
  const payer = await createPayer(f.token, name)
  return signOrder(f, payer, await makeOrder(f, { payer: payer.address }))
}

describe('attacks on batches', () => {
  describe('relayer starves an honest order of gas: the whole call reverts, or the order opens (F5, E8)', () => {
    /** What a relayer gets that gives the batch this much gas: which orders opened, or undefined where it reverted. */
    async function tryWith(f: BatchFixture, signed: SignedOrder[], gasLimit: bigint): Promise<boolean[] | undefined> {
      const data = f.escrow.interface.encodeFunctionData('openBatch', [f.terms, signed, GAS_PER_ORDER])
      const [success, answer] = await f.relayer.relay.staticCall(f.home.escrow, gasLimit, data)
      if (!success) return undefined
      return f.escrow.interface.decodeFunctionResult('openBatch', answer)[0] as boolean[]
    }

    async function expectNeverStarved(f: BatchFixture, signed: SignedOrder[], expected: boolean[]): Promise<void> {
      const ample = 400_000n * BigInt(signed.length) + 200_000n
      expect(await tryWith(f, signed, ample)).to.deep.equal(expected)
      const check = async (gasLimit: bigint): Promise<boolean> => {
        const opened = await tryWith(f, signed, gasLimit)
        if (opened !== undefined) expect([...opened], `with ${String(gasLimit)} gas`).to.deep.equal(expected)
        return opened !== undefined
      }
      for (let gasLimit = ample; gasLimit > 0n; gasLimit -= ample / 150n) await check(gasLimit)
      // The edge between too little and enough, unit by unit.
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
      const f = await loadFixture(batchFixture)
      await expectNeverStarved(f, [await honestOrder(f, 'a')], [true])
    })

    it('first, in the middle and last among others', async () => {
      const f = await loadFixture(batchFixture)
      await expectNeverStarved(
        f,
        [await honestOrder(f, 'a'), await honestOrder(f, 'b'), await honestOrder(f, 'c')],
        [true, true, true],
      )
    })

    it('behind a wallet that burns all its gas', async () => {
      const f = await loadFixture(batchFixture)
      await f.wallet.setMood(Mood.BurnsGas)
      await expectNeverStarved(f, [await orderOfWallet(f), await honestOrder(f, 'a')], [false, true])
    })

    it('with an honest ERC-1271 wallet', async () => {
      const f = await loadFixture(batchFixture)
      await expectNeverStarved(f, [await honestOrder(f, 'a'), await orderOfWallet(f)], [true, true])
    })

    it('says how much gas it wants', async () => {
      const f = await loadFixture(batchFixture)
      const signed = await honestOrder(f, 'a')
      const data = f.escrow.interface.encodeFunctionData('openBatch', [f.terms, [signed], GAS_PER_ORDER])
      const [success, answer] = await f.relayer.relay.staticCall(f.home.escrow, 120_000n, data)
      expect(success).to.equal(false)
      const error = f.escrow.interface.parseError(answer)
      expect(error?.name).to.equal('GasTooLow')
      expect(error?.args.orderId).to.equal(orderIdOf(f.home, f.terms, signed.order))
      expect(error?.args.needed).to.be.greaterThan(GAS_PER_ORDER)
      expect(error?.args.left).to.be.lessThan(GAS_PER_ORDER)
    })
  })

  for (const mood of ['Refuses', 'BurnsGas', 'ReturnBomb', 'RevertBomb', 'ShortAnswer', 'DirtyAnswer'] as const) {
    it(`wallet in the batch answers with ${mood}: the others open, and it costs no more than its gas (F5, E8)`, async () => {
      const f = await loadFixture(batchFixture)
      const signed = [await honestOrder(f, 'a'), await orderOfWallet(f), await honestOrder(f, 'b')]
      const calm = await f.escrow.openBatch.estimateGas(f.terms, signed, GAS_PER_ORDER, { gasLimit: 5_000_000n })
      await f.wallet.setMood(Mood[mood])
      // A flood of memory that ends in the right word is still a signature, if its gas pays for it.
      const opens = mood === 'ReturnBomb'
      const opened = await f.escrow.openBatch.staticCall(f.terms, signed, GAS_PER_ORDER)
      expect([...opened]).to.deep.equal([true, opens, true])
      const receipt = await (await f.escrow.openBatch(f.terms, signed, GAS_PER_ORDER)).wait()
      expect(receipt?.gasUsed ?? MaxUint256).to.be.lessThan(calm + GAS_PER_ORDER)
    })
  }

  it('relayer names too little gas: the order is reported, and opens later by anyone (F5)', async () => {
    const f = await loadFixture(batchFixture)
    const signed = await honestOrder(f, 'a')
    await expect(f.escrow.connect(f.stranger).openBatch(f.terms, [signed], 1n))
      .to.emit(f.escrow, 'OpenFailed')
      .withArgs(orderIdOf(f.home, f.terms, signed.order), f.escrow.interface.getError('PullFailed')?.selector)
    await expect(f.escrow.openBatch(f.terms, [signed], GAS_PER_ORDER)).to.emit(f.escrow, 'OrderOpened')
  })

  it('relayer names more gas than there is: the call reverts and opens nothing (F5)', async () => {
    const f = await loadFixture(batchFixture)
    const signed = await honestOrder(f, 'a')
    await expect(f.escrow.openBatch(f.terms, [signed], 10n ** 9n)).to.be.revertedWithCustomError(f.escrow, 'GasTooLow')
    for (const absurd of [MaxUint256, (MaxUint256 / 64n) * 63n]) {
      await expect(f.escrow.openBatch(f.terms, [signed], absurd)).to.be.reverted
    }
  })

  it('one bad order among good ones: a batch of bad ones opens nothing and reverts nothing (E8)', async () => {
    const f = await loadFixture(batchFixture)
    const bad: SignedOrder[] = []
    for (let i = 0; i < 5; i++) bad.push(await signOrder(f, f.stranger, await makeOrder(f)))
    await expect(f.escrow.openBatch(f.terms, bad, GAS_PER_ORDER)).to.changeTokenBalance(f.token, f.escrow, 0n)
    const good = await honestOrder(f, 'a')
    await expect(f.escrow.openBatch(f.terms, [...bad, good, ...bad], GAS_PER_ORDER)).to.changeTokenBalance(
      f.token,
      f.escrow,
      good.order.amount,
    )
  })
})
