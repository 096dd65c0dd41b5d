import { loadFixture, setCode, takeSnapshot } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ethers } from 'hardhat'
import { Wallet, ZeroHash, concat, id, toBeHex } from 'ethers'
import type { DemandingFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/DemandingFunder'
import type { HostileFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFunder'
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
  type Order,
} from '../support/fixture'

const DELIVERS = '0x'
const NOTHING = '0x03'

async function fundedFixture() {
  const f = await deployFixture()
  const funder = await deploy<HostileFunder>('HostileFunder', [f.home.token])
  const demanding = await deploy<DemandingFunder>('DemandingFunder', [f.home.token])
  for (const account of [funder, demanding]) await f.token.mint(account, 1_000n * OPG)
  return { ...f, funder, demanding }
}

type FundedFixture = Awaited<ReturnType<typeof fundedFixture>>

async function isOpen(f: FundedFixture, order: Order): Promise<boolean> {
  return (await f.escrow.orders(orderIdOf(f.home, f.terms, order))).amount !== 0n
}

describe('attacks on funding', () => {
  // Falls when what the escrow held before the call counts.
  it('tokens that lie in the escrow by mistake, before the call: they open nothing (E1)', async () => {
    const f = await loadFixture(fundedFixture)
    const funded = { order: await makeOrder(f), data: NOTHING }
    await f.token.mint(f.escrow, funded.order.amount)
    const { escrow, terms } = f
    await expect(escrow.openVia(f.funder, terms, funded)).to.be.revertedWithCustomError(escrow, 'AmountMismatch')
    await expect(escrow.openBatchVia(f.funder, terms, [funded], GAS_PER_ORDER)).to.be.revertedWithCustomError(
      escrow,
      'AmountMismatch',
    )
  })

  // Falls when the arrival is not checked: some of these answer any call with success.
  it('token, Permit2, the escrow itself or a precompile as funder: nothing opens, no allowance moves (E1, E10)', async () => {
    const f = await loadFixture(fundedFixture)
    await f.token.connect(f.payer).approve(f.escrow, 1_000n * OPG)
    const { order } = await openOrder(f)
    await settleRows(f, [settleRow(order, OPG)])
    const [held, payer] = [await f.token.balanceOf(f.escrow), await f.token.balanceOf(f.payer)]
    const funded = { order: await makeOrder(f), data: DELIVERS }
    for (const funder of [f.home.token, PERMIT2_ADDRESS, f.home.escrow, toBeHex(4, 20)]) {
      await expect(f.escrow.openVia(funder, f.terms, funded)).to.be.reverted
      await f.escrow.openBatchVia(funder, f.terms, [funded], GAS_PER_ORDER).catch(() => undefined)
      expect(await isOpen(f, funded.order), funder).to.equal(false)
    }
    expect(await f.token.balanceOf(f.escrow)).to.equal(held)
    expect(await f.token.balanceOf(f.payer)).to.equal(payer)
  })

  // Falls when an order that is known is funded again.
  it('one order twice in a batch, or known before: the funder is asked once, and pays once (E5)', async () => {
    const f = await loadFixture(fundedFixture)
    const order = await makeOrder(f)
    const one = { order, data: DELIVERS }
    await f.escrow.openBatchVia(f.funder, f.terms, [one, one, { order, data: NOTHING }], GAS_PER_ORDER)
    await f.escrow.openVia(f.funder, f.terms, one)
    await f.escrow.openBatchVia(f.funder, f.terms, [one], GAS_PER_ORDER)
    expect(await f.funder.calls()).to.equal(1n)
    expect(await f.token.balanceOf(f.escrow)).to.equal(order.amount)
  })

  // Falls when the gas floor leaves no room for two cold accounts.
  describe('relayer starves a funder that wants all of its gas: the call reverts, or the order opens (F5, E8)', () => {
    async function expectNeverStarved(f: FundedFixture, funder: string): Promise<void> {
      const order = await makeOrder(f)
      const asked = await ethers.getContractAt('DemandingFunder', funder)
      // What it finds when it gets exactly `GAS_PER_ORDER`: that, and no unit less, is what it wants.
      const snapshot = await takeSnapshot()
      await (await f.escrow.openBatchVia(funder, f.terms, [{ order, data: ZeroHash }], GAS_PER_ORDER)).wait()
      const seen: unknown = await asked.getFunction('gasSeen').staticCall()
      await snapshot.restore()
      const wanting = { order, data: toBeHex(BigInt(String(seen)), 32) }

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
      await expectNeverStarved(f, await f.demanding.getAddress())
    })

    it('an account that delegates to one (EIP-7702)', async () => {
      const f = await loadFixture(fundedFixture)
      const account = new Wallet(id('delegating funder')).address
      await setCode(account, concat(['0xef0100', await f.demanding.getAddress()]))
      await f.token.mint(account, 1_000n * OPG)
      await expectNeverStarved(f, account)
    })
  })
})
