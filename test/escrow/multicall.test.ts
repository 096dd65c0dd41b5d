import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { OPG, deployFixture, makeOrder, openOrder, settleRow, settlementEvidence, signOrder } from '../support/fixture'
import { plan, routedFixture, settleSlicesArgs, signAllocation, sliceRows } from '../support/routed'

describe('multicall', () => {
  it('settles and claims for everyone in one transaction', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    const rows = [settleRow(order, OPG, { close: true })]
    const evidence = await settlementEvidence(f, f.node, rows)
    const calls = [
      f.escrow.interface.encodeFunctionData('settle', [f.terms, rows, evidence]),
      f.escrow.interface.encodeFunctionData('claim', [f.node.address]),
      f.escrow.interface.encodeFunctionData('claim', [f.facilitator.address]),
      f.escrow.interface.encodeFunctionData('claimRoyalty', [f.modelId, f.modelOwner.address]),
      f.escrow.interface.encodeFunctionData('claimNetwork', [f.network.address]),
    ]
    await expect(f.escrow.connect(f.stranger).multicall(calls)).to.changeTokenBalances(
      f.token,
      [f.escrow, f.payer, f.node, f.facilitator, f.modelOwner, f.network],
      [-10n * OPG, 9n * OPG, (OPG * 92n) / 100n, OPG / 100n, OPG / 20n, OPG / 50n],
    )
    expect(await f.token.balanceOf(f.escrow)).to.equal(0n)
  })

  it('keeps the caller: claimTo pays the one who sent it', async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    const rows = [settleRow(order, OPG)]
    const calls = [
      f.escrow.interface.encodeFunctionData('settle', [f.terms, rows, await settlementEvidence(f, f.node, rows)]),
      f.escrow.interface.encodeFunctionData('claimTo', [f.stranger.address]),
    ]
    await expect(f.escrow.connect(f.node).multicall(calls)).to.changeTokenBalance(
      f.token,
      f.stranger,
      (OPG * 92n) / 100n,
    )
  })

  it('opens and settles in one transaction', async () => {
    const f = await loadFixture(deployFixture)
    const order = await makeOrder(f)
    const rows = [settleRow(order, OPG, { close: true })]
    const calls = [
      f.escrow.interface.encodeFunctionData('open', [f.terms, await signOrder(f, f.payer, order)]),
      f.escrow.interface.encodeFunctionData('settleWithClaim', [
        f.terms,
        rows,
        await settlementEvidence(f, f.node, rows),
      ]),
    ]
    await expect(f.escrow.multicall(calls)).to.changeTokenBalances(
      f.token,
      [f.payer, f.node],
      [-OPG, (OPG * 92n) / 100n],
    )
  })

  it('allocates by relayed signature and settles in one transaction', async () => {
    const f = await loadFixture(routedFixture)
    const planned = plan(f, f.order, { cap: OPG })
    const rows = await sliceRows(f, planned, [{ index: 1, fee: OPG }])
    const encode = f.escrow.interface
    const signature = await signAllocation(f, f.facilitator, planned)
    const calls = [
      encode.encodeFunctionData('allocate', [f.terms, f.order, planned.allocation, signature]),
      encode.encodeFunctionData('settleSlices', settleSlicesArgs(f, planned, rows)),
    ]
    await expect(f.escrow.connect(f.stranger).multicall(calls)).to.changeTokenBalance(
      f.token,
      rows[0]?.node ?? '',
      (OPG * 92n) / 100n,
    )
    // The facilitator itself signs nothing: a multicall keeps the caller.
    const own = plan(f, f.order, { cap: OPG })
    const unsigned = [encode.encodeFunctionData('allocate', [f.terms, f.order, own.allocation, '0x'])]
    await expect(f.escrow.connect(f.stranger).multicall(unsigned)).to.be.revertedWithCustomError(
      f.escrow,
      'NotFacilitator',
    )
    await expect(f.escrow.connect(f.facilitator).multicall(unsigned)).to.emit(f.escrow, 'SlicesAllocated')
  })

  it('reverts as a whole, with the error of the call that failed', async () => {
    const f = await loadFixture(deployFixture)
    const order = await makeOrder(f)
    const calls = [
      f.escrow.interface.encodeFunctionData('open', [f.terms, await signOrder(f, f.payer, order)]),
      f.escrow.interface.encodeFunctionData('reclaim', [f.terms, order]),
    ]
    await expect(f.escrow.multicall(calls)).to.be.revertedWithCustomError(f.escrow, 'OrderNotExpired')
    expect(await f.token.balanceOf(f.escrow)).to.equal(0n)
  })

  it('takes no native coin', async () => {
    const f = await loadFixture(deployFixture)
    const data = f.escrow.interface.encodeFunctionData('multicall', [[]])
    await expect(f.stranger.sendTransaction({ to: f.home.escrow, data, value: 1n })).to.be.revertedWithoutReason()
    await expect(f.stranger.sendTransaction({ to: f.home.escrow, value: 1n })).to.be.revertedWithoutReason()
  })
})
