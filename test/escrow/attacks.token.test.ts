import { loadFixture, takeSnapshot, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { MaxUint256 } from 'ethers'
import type { HostileToken } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileToken'
import {
  GAS_PER_ORDER,
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployAround,
  makeOrder,
  openOrder,
  settleRow,
  settleRows,
  settlementEvidence,
  signOrder,
} from '../support/fixture'
import { installPermit2 } from '../support/permit2'
import { allocate, openRouted, routedTerms, settleSlices, sliceIdOf } from '../support/routed'

const Mood = { Honest: 0, TakesFee: 1, RevertsForPayee: 2, FalseForPayee: 3, RevertBombForPayee: 4 } as const

async function hostileTokenFixture() {
  await installPermit2()
  const token = await deploy<HostileToken>('HostileToken')
  const world = await deployAround(await token.getAddress())
  for (const payer of [world.payer, world.otherPayer]) {
    await token.mint(payer, 1_000n * OPG)
    await token.connect(payer).approve(PERMIT2_ADDRESS, MaxUint256)
    await token.connect(payer).approve(world.home.escrow, MaxUint256)
  }
  return { ...world, token }
}

describe('attacks by tokens', () => {
  it('fee-on-transfer token: no order opens, by any way in (E1)', async () => {
    const f = await loadFixture(hostileTokenFixture)
    await f.token.setMood(Mood.TakesFee, f.home.escrow)
    const order = await makeOrder(f)
    const signed = await signOrder(f, f.payer, order)
    const second = await signOrder(f, f.otherPayer, await makeOrder(f, { payer: f.otherPayer.address }))
    const received = (order.amount * 99n) / 100n
    await expect(f.escrow.open(f.terms, signed))
      .to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
      .withArgs(order.amount, received)
    await expect(f.escrow.connect(f.payer).openFunded(f.terms, order))
      .to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
      .withArgs(order.amount, received)
    await expect(f.escrow.openBatch(f.terms, [signed, second], GAS_PER_ORDER))
      .to.be.revertedWithCustomError(f.escrow, 'AmountMismatch')
      .withArgs(2n * order.amount, 2n * received)
    expect(await f.token.balanceOf(f.escrow)).to.equal(0n)
  })

  for (const mood of ['RevertsForPayee', 'FalseForPayee', 'RevertBombForPayee'] as const) {
    it(`token that refuses the payer (${mood}): a refund becomes its credit and blocks nobody (F14, E8)`, async () => {
      const f = await loadFixture(hostileTokenFixture)
      const refused = await openOrder(f)
      const other = await openOrder(f, { payer: f.otherPayer.address }, { signer: f.otherPayer })
      await f.token.setMood(Mood[mood], f.payer)

      const rows = [
        settleRow(refused.order, 4n * OPG, { close: true }),
        settleRow(other.order, 4n * OPG, { close: true }),
      ]
      const sent = settleRows(f, rows)
      await expect(sent)
        .to.emit(f.escrow, 'TransferCredited')
        .withArgs(refused.orderId, f.payer.address, 6n * OPG)
      await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.otherPayer], [0n, 6n * OPG])
      expect(await f.escrow.credits(f.payer)).to.equal(6n * OPG)

      // It can be claimed to another address, by the payer only.
      await expect(f.escrow.connect(f.payer).claimTo(f.stranger)).to.changeTokenBalance(f.token, f.stranger, 6n * OPG)
    })
  }

  it('token that refuses the payer at release and at reclaim: the order closes all the same (F14, E6)', async () => {
    const f = await loadFixture(hostileTokenFixture)
    const released = await openOrder(f)
    const reclaimed = await openOrder(f)
    await f.token.setMood(Mood.RevertsForPayee, f.payer)
    await expect(f.escrow.connect(f.node).release(f.terms, released.order)).to.emit(f.escrow, 'TransferCredited')
    await time.increaseTo(reclaimed.order.claimBy)
    await expect(f.escrow.reclaim(f.terms, reclaimed.order)).to.emit(f.escrow, 'TransferCredited')
    expect(await f.escrow.credits(f.payer)).to.equal(20n * OPG)
    await f.token.setMood(Mood.Honest, f.payer)
    await expect(f.escrow.claim(f.payer)).to.changeTokenBalance(f.token, f.payer, 20n * OPG)
  })

  it('token that refuses the node: its claim reverts and its credit stays', async () => {
    const f = await loadFixture(hostileTokenFixture)
    const { order } = await openOrder(f)
    await settleRows(f, [settleRow(order, OPG)])
    await f.token.setMood(Mood.RevertsForPayee, f.node)
    await expect(f.escrow.claim(f.node)).to.be.revertedWithoutReason()
    expect(await f.escrow.credits(f.node)).to.equal((OPG * 92n) / 100n)
    await expect(f.escrow.connect(f.node).claimTo(f.stranger)).to.changeTokenBalance(
      f.token,
      f.stranger,
      (OPG * 92n) / 100n,
    )
  })

  it('relayer starves the refund of gas: the call reverts, and no refund turns into a credit (F14)', async () => {
    const f = await loadFixture(hostileTokenFixture)
    const { order } = await openOrder(f)
    const rows = [settleRow(order, 4n * OPG, { close: true })]
    const evidence = await settlementEvidence(f, f.node, rows)
    const ample = await f.escrow.settle.estimateGas(f.terms, rows, evidence)
    const before = await takeSnapshot()
    for (let gasLimit = ample; gasLimit > (ample * 9n) / 10n; gasLimit -= ample / 500n) {
      const sent = await f.escrow.settle(f.terms, rows, evidence, { gasLimit }).catch(() => undefined)
      if (sent !== undefined) expect(await f.escrow.credits(f.payer)).to.equal(0n)
      await before.restore()
    }
  })

  for (const mood of ['RevertsForPayee', 'FalseForPayee', 'RevertBombForPayee'] as const) {
    it(`token that refuses the node of a slice (${mood}): its fee becomes its credit and blocks nobody (F14, E8)`, async () => {
      const f = await loadFixture(hostileTokenFixture)
      const world = { ...f, terms: routedTerms(f.terms) }
      const { order } = await openRouted(world)
      const planned = await allocate(world, order, { cap: OPG })
      const [first, refused, last] = planned.signers.map(({ address }) => address)
      if (first === undefined || refused === undefined || last === undefined) throw new TypeError('no nodes')
      await f.token.setMood(Mood[mood], refused)
      const given = [0, 1, 2].map((index) => ({ index, fee: OPG }))
      const fee = (OPG * 92n) / 100n
      const sent = settleSlices(world, planned, given)
      await expect(sent)
        .to.emit(f.escrow, 'TransferCredited')
        .withArgs(sliceIdOf(planned.allocationId, 1), refused, fee)
      await expect(sent).to.changeTokenBalances(f.token, [first, refused, last], [fee, 0n, fee])
      expect(await f.escrow.credits(refused)).to.equal(fee)
      expect(await f.escrow.networkCreditWith(refused)).to.equal(0n)
      await f.token.setMood(Mood.Honest, refused)
      await expect(f.escrow.claim(refused)).to.changeTokenBalance(f.token, refused, fee)
    })
  }

  it("token that refuses a routed order's payer: release and reclaim close it all the same (F14, E6)", async () => {
    const f = await loadFixture(hostileTokenFixture)
    const world = { ...f, terms: routedTerms(f.terms) }
    const [released, reclaimed] = [await openRouted(world), await openRouted(world)]
    await allocate(world, reclaimed.order, { cap: OPG })
    await f.token.setMood(Mood.RevertsForPayee, f.payer)
    await expect(f.escrow.connect(f.facilitator).release(world.terms, released.order))
      .to.emit(f.escrow, 'TransferCredited')
      .withArgs(released.orderId, f.payer.address, 10n * OPG)
    await time.increaseTo(reclaimed.order.claimBy)
    await expect(f.escrow.reclaim(world.terms, reclaimed.order)).to.emit(f.escrow, 'TransferCredited')
    expect(await f.escrow.credits(f.payer)).to.equal(20n * OPG)
  })
})
