import { loadFixture, setCode, takeSnapshot } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ethers } from 'hardhat'
import { Wallet, ZeroHash, concat, id, toBeHex } from 'ethers'
import type { ScriptedFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/ScriptedFunder'
import {
  GAS_PER_ORDER,
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployFixture,
  makeOrder,
  openOrder,
  orderIdOf,
  settleRow,
  settleRows,
  settlementEvidence,
  signOrder,
  type Order,
} from '../support/fixture'

const Mood = {
  Delivers: '0x',
  Lies: '0x01',
  DeliversLess: '0x02',
  DeliversMore: '0x03',
  RevertsAfterDelivery: '0x04',
  BurnsGas: '0x05',
  ReturnBomb: '0x06',
  RevertBomb: '0x07',
  CallsBack: '0x08',
  WantsGas: '0x09',
} as const

async function fundedFixture() {
  const f = await deployFixture()
  const funder = await deploy<ScriptedFunder>('ScriptedFunder', [f.home.token])
  await f.token.mint(funder, 1_000n * OPG)
  return { ...f, funder }
}

type FundedFixture = Awaited<ReturnType<typeof fundedFixture>>

interface FundedOrder {
  readonly order: Order
  readonly data: string
}

async function fundedOrder(f: FundedFixture, mood: string): Promise<FundedOrder> {
  return { order: await makeOrder(f), data: mood }
}

async function isOpen(f: FundedFixture, { order }: FundedOrder): Promise<boolean> {
  return (await f.escrow.orders(orderIdOf(f.home, f.terms, order))).amount !== 0n
}

describe('attacks by funders', () => {
  for (const mood of ['Lies', 'DeliversLess', 'DeliversMore'] as const) {
    it(`funder delivers something else than the amount (${mood}): nothing opens, alone or in a batch (E1)`, async () => {
      const f = await loadFixture(fundedFixture)
      await openOrder(f) // so that there is somebody else's money to open orders with
      const [bad, good] = [await fundedOrder(f, Mood[mood]), await fundedOrder(f, Mood.Delivers)]
      await expect(f.escrow.openVia(f.funder, f.terms, bad)).to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
      await expect(f.escrow.openBatchVia(f.funder, f.terms, [good, bad], GAS_PER_ORDER)).to.be.revertedWithCustomError(
        f.escrow,
        'AmountMismatch',
      )
      expect([await isOpen(f, bad), await isOpen(f, good)]).to.deep.equal([false, false])
    })
  }

  it('tokens that lie in the escrow by mistake, before the call: they open nothing (E1)', async () => {
    const f = await loadFixture(fundedFixture)
    const bad = await fundedOrder(f, Mood.Lies)
    await f.token.mint(f.escrow, bad.order.amount)
    await expect(f.escrow.openVia(f.funder, f.terms, bad)).to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
    await expect(f.escrow.openBatchVia(f.funder, f.terms, [bad], GAS_PER_ORDER)).to.be.revertedWithCustomError(
      f.escrow,
      'AmountMismatch',
    )
  })

  it('account without code, the token, Permit2 or the escrow itself as funder: nothing opens, no allowance moves (E1, E10)', async () => {
    const f = await loadFixture(fundedFixture)
    await f.token.connect(f.payer).approve(f.escrow, 1_000n * OPG)
    const { order } = await openOrder(f)
    await settleRows(f, [settleRow(order, OPG)])
    const [held, payer] = [await f.token.balanceOf(f.escrow), await f.token.balanceOf(f.payer)]
    const given = await fundedOrder(f, Mood.Delivers)
    for (const funder of [f.stranger.address, f.home.token, PERMIT2_ADDRESS, f.home.escrow, toBeHex(4, 20)]) {
      await expect(f.escrow.openVia(funder, f.terms, given)).to.be.reverted
      await f.escrow.openBatchVia(funder, f.terms, [given], GAS_PER_ORDER).catch(() => undefined)
      expect(await isOpen(f, given), funder).to.equal(false)
    }
    expect(await f.token.balanceOf(f.escrow)).to.equal(held)
    expect(await f.token.balanceOf(f.payer)).to.equal(payer)
  })

  it('funder reverts, floods or burns its gas in a batch: only its order fails, and the others open (E8, F5)', async () => {
    const f = await loadFixture(fundedFixture)
    const moods = ['RevertsAfterDelivery', 'BurnsGas', 'ReturnBomb', 'RevertBomb', 'Delivers'] as const
    const funded = await Promise.all(moods.map((mood) => fundedOrder(f, Mood[mood])))
    const sent = f.escrow.openBatchVia(f.funder, f.terms, funded, GAS_PER_ORDER)
    await expect(sent).to.changeTokenBalance(f.token, f.escrow, 20n * OPG)
    const opened: boolean[] = []
    for (const one of funded) opened.push(await isOpen(f, one))
    expect(opened).to.deep.equal([false, false, true, false, true])
    expect(await f.funder.asked()).to.equal(2n)
  })

  it('one order twice in a batch, or known before: the funder is asked once, and pays once (E5)', async () => {
    const f = await loadFixture(fundedFixture)
    const one = await fundedOrder(f, Mood.Delivers)
    await f.escrow.openBatchVia(f.funder, f.terms, [one, one, { ...one, data: Mood.Lies }], GAS_PER_ORDER)
    await f.escrow.openVia(f.funder, f.terms, one)
    await f.escrow.openBatchVia(f.funder, f.terms, [one], GAS_PER_ORDER)
    expect(await f.funder.asked()).to.equal(1n)
    expect(await f.token.balanceOf(f.escrow)).to.equal(one.order.amount)
  })

  describe('re-entrant funder: it is refused, whatever it calls, and what it was asked for opens all the same (E1, E5)', () => {
    const entrances = [
      'open',
      'openBatch',
      'openFunded',
      'openVia',
      'openBatchVia',
      'settle',
      'settleWithClaim',
      'release',
      'reclaim',
      'claim',
      'claimTo',
      'claimRoyalty',
      'claimNetwork',
      'collectNetwork',
      'allocate',
      'settleSlices',
    ] as const

    async function callbackOf(f: FundedFixture, entrance: (typeof entrances)[number]): Promise<string> {
      const { escrow, terms } = f
      const order = await makeOrder(f)
      const signed = await signOrder(f, f.payer, order)
      const funded = { order, data: '0x' }
      const rows = [settleRow(order, OPG)]
      const evidence = await settlementEvidence(f, f.node, rows)
      const allocation = { root: id('root'), count: 1, cap: 1n, series: 0n }
      const { interface: face } = escrow
      const calls: Record<(typeof entrances)[number], () => string> = {
        open: () => face.encodeFunctionData('open', [terms, signed]),
        openBatch: () => face.encodeFunctionData('openBatch', [terms, [signed], GAS_PER_ORDER]),
        openFunded: () => face.encodeFunctionData('openFunded', [terms, order]),
        openVia: () => face.encodeFunctionData('openVia', [f.funder.target, terms, funded]),
        openBatchVia: () => face.encodeFunctionData('openBatchVia', [f.funder.target, terms, [funded], GAS_PER_ORDER]),
        settle: () => face.encodeFunctionData('settle', [terms, rows, evidence]),
        settleWithClaim: () => face.encodeFunctionData('settleWithClaim', [terms, rows, evidence]),
        release: () => face.encodeFunctionData('release', [terms, order]),
        reclaim: () => face.encodeFunctionData('reclaim', [terms, order]),
        claim: () => face.encodeFunctionData('claim', [f.node.address]),
        claimTo: () => face.encodeFunctionData('claimTo', [f.stranger.address]),
        claimRoyalty: () => face.encodeFunctionData('claimRoyalty', [f.modelId, f.modelOwner.address]),
        claimNetwork: () => face.encodeFunctionData('claimNetwork', [f.network.address]),
        collectNetwork: () => face.encodeFunctionData('collectNetwork', [[f.node.address]]),
        allocate: () => face.encodeFunctionData('allocate', [terms, order, allocation, '0x']),
        settleSlices: () => face.encodeFunctionData('settleSlices', [terms, order, allocation, [], [], 0n]),
      }
      return calls[entrance]()
    }

    for (const entrance of entrances) {
      it(entrance, async () => {
        const f = await loadFixture(fundedFixture)
        const { order } = await openOrder(f)
        await settleRows(f, [settleRow(order, OPG)])
        const callback = await callbackOf(f, entrance)
        const refusal = f.escrow.interface.encodeErrorResult('ReentrancyGuardReentrantCall', [])
        for (const data of [callback, f.escrow.interface.encodeFunctionData('multicall', [[callback]])]) {
          await f.funder.setCallback(f.escrow, data)
          const alone = await fundedOrder(f, Mood.CallsBack)
          await expect(f.escrow.openVia(f.funder, f.terms, alone)).to.changeTokenBalance(f.token, f.escrow, 10n * OPG)
          expect([await f.funder.callbackSucceeded(), await f.funder.callbackAnswer()]).to.deep.equal([false, refusal])
          const batch = [await fundedOrder(f, Mood.CallsBack), await fundedOrder(f, Mood.Delivers)]
          const sent = f.escrow.openBatchVia(f.funder, f.terms, batch, 500_000n)
          await expect(sent).to.changeTokenBalance(f.token, f.escrow, 20n * OPG)
          expect([await f.funder.callbackSucceeded(), await f.funder.callbackAnswer()]).to.deep.equal([false, refusal])
        }
      })
    }
  })

  it('share that is synced out of the funder: the order keeps the one that held before the call (E9)', async () => {
    const f = await loadFixture(fundedFixture)
    await f.policy.setNetworkBps(700n)
    await f.funder.setCallback(f.escrow, f.escrow.interface.encodeFunctionData('syncNetworkBps'))
    const batch = [await fundedOrder(f, Mood.CallsBack), await fundedOrder(f, Mood.Delivers)]
    await f.escrow.openBatchVia(f.funder, f.terms, batch, 500_000n)
    expect(await f.funder.callbackSucceeded()).to.equal(true)
    for (const { order } of batch) {
      expect((await f.escrow.orders(orderIdOf(f.home, f.terms, order))).networkBps).to.equal(200n)
    }
    expect(await f.escrow.networkBps()).to.equal(700n)
  })

  describe('relayer starves an honest funder of gas: the whole call reverts, or the order opens (F5, E8)', () => {
    /** The least gas with which the batch does not revert, found to the unit; on the way nothing may starve. */
    async function expectNeverStarved(f: FundedFixture, funder: string): Promise<void> {
      const { order } = await fundedOrder(f, Mood.WantsGas)
      // What it finds when it gets exactly `GAS_PER_ORDER`: that, and no unit less, is what it wants.
      const asking = { order, data: concat([Mood.WantsGas, ZeroHash]) }
      const asked = await ethers.getContractAt('ScriptedFunder', funder)
      const snapshot = await takeSnapshot()
      await (await f.escrow.openBatchVia(funder, f.terms, [asking], GAS_PER_ORDER)).wait()
      const seen: unknown = await asked.getFunction('gasSeen').staticCall()
      await snapshot.restore()
      const wanting = { order, data: concat([Mood.WantsGas, toBeHex(BigInt(String(seen)), 32)]) }

      const tryWith = async (gasLimit: bigint): Promise<boolean> => {
        const opened = await f.escrow.openBatchVia
          .staticCall(funder, f.terms, [wanting], GAS_PER_ORDER, { gasLimit })
          .catch(() => undefined)
        if (opened !== undefined) expect([...opened], `with ${String(gasLimit)} gas`).to.deep.equal([true])
        return opened !== undefined
      }
      let [tooLittle, enough] = [0n, 600_000n]
      expect(await tryWith(enough)).to.equal(true)
      while (enough - tooLittle > 1n) {
        const middle = (tooLittle + enough) / 2n
        if (await tryWith(middle)) enough = middle
        else tooLittle = middle
      }
      for (let gasLimit = enough - 60n; gasLimit <= enough + 400n; gasLimit += 7n) await tryWith(gasLimit)
    }

    it('a contract', async () => {
      const f = await loadFixture(fundedFixture)
      await expectNeverStarved(f, await f.funder.getAddress())
    })

    it('an account that delegates to one (EIP-7702)', async () => {
      const f = await loadFixture(fundedFixture)
      const account = new Wallet(id('delegating funder')).address
      await setCode(account, concat(['0xef0100', await f.funder.getAddress()]))
      await f.token.mint(account, 1_000n * OPG)
      await expectNeverStarved(f, account)
    })
  })
})
