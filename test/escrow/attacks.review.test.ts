import { loadFixture, setCode, takeSnapshot, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ethers } from 'hardhat'
import { MaxUint256, ZeroAddress, ZeroHash, concat, toBeHex, zeroPadValue } from 'ethers'
import type { HostileToken } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileToken'
import type { ValidatorPool } from '../../packages/bindings/src/generated/typechain/contracts/policy/ValidatorPool'
import { BookKeeper } from '../support/books'
import {
  DAY,
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployAround,
  deployFixture,
  makeOrder,
  nodeOnly,
  openOrder,
  settleRow,
  settleRows,
  settlementEvidence,
  type Fixture,
} from '../support/fixture'
import { installPermit2 } from '../support/permit2'

const MAX_UINT96 = 2n ** 96n - 1n
const FALSE_FOR_PAYEE = 3
const Skip = { Closed: 2n, Overdrawn: 4n } as const

async function hostileTokenFixture() {
  await installPermit2()
  const token = await deploy<HostileToken>('HostileToken')
  const world = await deployAround(await token.getAddress())
  await token.mint(world.payer, 1_000n * OPG)
  await token.connect(world.payer).approve(PERMIT2_ADDRESS, MaxUint256)
  return { ...world, token }
}

/** What the escrow's views say of those whom `f.terms` pays, and what its events say. */
async function expectBooksAgree(f: Fixture): Promise<void> {
  const logs = await ethers.provider.getLogs({ address: f.home.escrow, fromBlock: 0 })
  const keeper = new BookKeeper(f.escrow)
  keeper.read(logs)
  const books = keeper.books()
  expect(await f.escrow.networkCredit()).to.equal(books.network)
  expect(await f.escrow.royalties(f.modelId)).to.equal(books.royalty(f.modelId))
  for (const { address } of [f.node, f.facilitator, f.payer, f.stranger]) {
    expect(await f.escrow.credits(address)).to.equal(books.credit(address))
    expect(await f.escrow.networkCreditWith(address)).to.equal(books.networkWith(address))
  }
}

describe('attacks on credits, clocks and edges', () => {
  /** Runs an attack that changes the clock, or accounts that other fixtures build on, and takes all of it back. */
  async function isolated(attack: (f: Fixture) => Promise<void>): Promise<void> {
    const f = await loadFixture(deployFixture)
    const snapshot = await takeSnapshot()
    try {
      await attack(f)
    } finally {
      await snapshot.restore()
    }
  }

  // Falls when what is collected stays where it was, or a node's own credit goes with it.
  it("stranger collects the network's share twice over, with duplicates and strangers in the list: it moves once (E1, E5, E11)", async () => {
    const f = await loadFixture(deployFixture)
    const { order } = await openOrder(f)
    await settleRows(f, [settleRow(order, OPG)])
    const share = (OPG * 2n) / 100n
    const list = [f.node.address, f.node.address, ZeroAddress, f.stranger.address, f.home.escrow, f.node.address]
    const collector = f.escrow.connect(f.stranger)
    expect(await collector.collectNetwork.staticCall(list)).to.equal(share)
    await collector.collectNetwork(list)
    expect(await collector.collectNetwork.staticCall(list)).to.equal(0n)
    await collector.collectNetwork(list)
    await expect(f.escrow.claim(f.node)).to.changeTokenBalance(f.token, f.node, (OPG * 92n) / 100n)
    await expectBooksAgree(f)
    await settleRows(f, [settleRow(order, 2n * OPG)])
    await f.escrow.connect(f.node).claimTo(f.stranger)
    await collector.collectNetwork(list)
    await expect(f.escrow.claimNetwork(f.network)).to.changeTokenBalance(f.token, f.network, 2n * share)
    await expectBooksAgree(f)
    expect(await f.token.balanceOf(f.escrow)).to.equal(order.amount - 2n * OPG + (2n * OPG * 6n) / 100n)
  })

  // Falls when the network's share can only move with the node's claim.
  it("node that the token refuses to pay: the network's share does not wait with it (E10)", async () => {
    const f = await loadFixture(hostileTokenFixture)
    const { order } = await openOrder(f)
    await settleRows(f, [settleRow(order, OPG)])
    await f.token.setMood(FALSE_FOR_PAYEE, f.node.address)
    await expect(f.escrow.claim(f.node)).to.be.reverted
    await f.escrow.collectNetwork([f.node.address])
    await expect(f.escrow.claimNetwork(f.network)).to.changeTokenBalance(f.token, f.network, (OPG * 2n) / 100n)
    expect(await f.escrow.credits(f.node.address)).to.equal((OPG * 92n) / 100n)
  })

  // Falls when `distribute` does not collect what the escrow holds, or a change of weights reaches what was divided.
  it('owner of the pool changes weights over income that still waits with a node: a validator collects first and keeps it', async () => {
    const f = await loadFixture(deployFixture)
    const pool = await deploy<ValidatorPool>('ValidatorPool', [f.deployer.address, f.home.token, f.home.escrow])
    await f.policy.setNetworkRecipient(pool)
    const [validator, newcomer] = [f.stranger, f.otherNode]
    await pool.setWeights([{ validator: validator.address, weight: 1 }])
    const { order } = await openOrder(f)
    await settleRows(f, [settleRow(order, OPG)])
    await f.escrow.connect(validator).collectNetwork([f.node.address])
    await pool.setWeights([
      { validator: validator.address, weight: 0 },
      { validator: newcomer.address, weight: 1 },
    ])
    await settleRows(f, [settleRow(order, 2n * OPG)])
    await f.escrow.claim(f.node)
    await pool.distribute()
    const share = (OPG * 2n) / 100n
    expect([await pool.claimable(validator), await pool.claimable(newcomer)]).to.deep.equal([share, share])
  })

  // Falls when all ones in `released` is anything but the end: a second row, a close or a reclaim would pay again.
  it('order of 2^96 - 1 settled in full, without and with close: no second row, release or reclaim gets anything (E4, E5, E7)', async () => {
    for (const close of [false, true]) {
      const f = await loadFixture(deployFixture)
      await openOrder(f) // so that there is somebody else's money
      await f.token.mint(f.payer, MAX_UINT96)
      const terms = nodeOnly(f.terms)
      const { order, orderId } = await openOrder(f, { amount: MAX_UINT96 }, { terms })
      const rows = [settleRow(order, MAX_UINT96, { close }), settleRow(order, MAX_UINT96, { close: true })]
      await expect(settleRows(f, rows, { terms }))
        .to.emit(f.escrow, 'RowSkipped')
        .withArgs(orderId, Skip.Closed)
      const network = (MAX_UINT96 * 200n) / 10_000n
      expect(await f.escrow.credits(f.node.address)).to.equal(MAX_UINT96 - network)
      expect(await f.escrow.networkCreditWith(f.node.address)).to.equal(network)
      await expect(f.escrow.connect(f.node).release(terms, order)).to.be.revertedWithCustomError(
        f.escrow,
        'OrderClosed',
      )
      await time.increaseTo(order.claimBy)
      await expect(f.escrow.reclaim(terms, order)).to.be.revertedWithCustomError(f.escrow, 'OrderClosed')
    }
  })

  it('settlement of 2^96 - 1 on a smaller order, which would read as closed: overdrawn, and nothing changes (E4)', async () => {
    const f = await loadFixture(deployFixture)
    const { order, orderId } = await openOrder(f)
    await expect(settleRows(f, [settleRow(order, MAX_UINT96), settleRow(order, MAX_UINT96, { close: true })]))
      .to.emit(f.escrow, 'RowSkipped')
      .withArgs(orderId, Skip.Overdrawn)
    expect((await f.escrow.orders(orderId)).closed).to.equal(false)
    await expect(f.escrow.connect(f.node).release(f.terms, order)).to.changeTokenBalance(f.token, f.payer, order.amount)
  })

  // Falls when an order is known by its time of opening.
  it('clock of 32 bits runs over in 2106: orders without any share still open, settle and come back (E5, E6)', () =>
    isolated(async (f) => {
      await f.policy.setNetworkBps(0n)
      await f.escrow.syncNetworkBps()
      const terms = nodeOnly(f.terms)
      const turn = 2n ** 32n
      await time.increaseTo(turn - 1_000n)
      const claimBy = turn + DAY
      const order = await makeOrder(f, { claimBy })
      await f.token.connect(f.payer).approve(f.escrow, 100n * OPG)
      await time.setNextBlockTimestamp(turn)
      await f.escrow.connect(f.payer).openFunded(terms, order)
      expect(await f.escrow.connect(f.payer).openFunded.staticCall(terms, order)).to.equal(false)
      await settleRows(f, [settleRow(order, OPG)], { terms })
      expect(await f.escrow.credits(f.node.address)).to.equal(OPG)
      await time.increaseTo(claimBy)
      await expect(f.escrow.reclaim(terms, order)).to.changeTokenBalance(f.token, f.payer, order.amount - OPG)
    }))

  // Falls when ERC-1271 takes an echo for an answer.
  it('node without a key, a precompile or an account without code: no signature speaks for it, and the payer reclaims (E3, E6)', async () => {
    const f = await loadFixture(deployFixture)
    for (const node of [toBeHex(1, 20), toBeHex(2, 20), toBeHex(4, 20), toBeHex(0x100, 20), f.home.token]) {
      const terms = { ...f.terms, node }
      const { order } = await openOrder(f, {}, { terms })
      const rows = [settleRow(order, OPG)]
      for (const evidence of ['0x', `0x${'00'.repeat(65)}`, concat(['0x1626ba7e', ZeroHash, ZeroHash])]) {
        await expect(f.escrow.settle(terms, rows, evidence)).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
      }
      await time.increaseTo(order.claimBy)
      await expect(f.escrow.reclaim(terms, order)).to.changeTokenBalance(f.token, f.payer, order.amount)
    }
  })

  // Falls when the escrow, as its own verifier, takes its own word.
  it('escrow as node key, evidence key or verifier: it signs for nobody, and takes evidence as any verifier does (E3)', async () => {
    const f = await loadFixture(deployFixture)
    const self = { ...f.terms, verifier: f.home.escrow }
    const own = { ...self, evidenceKey: zeroPadValue(f.home.escrow, 32) }
    const { order: mute } = await openOrder(f, {}, { terms: own })
    for (const evidence of ['0x', await settlementEvidence(f, f.node, [settleRow(mute, OPG)], { terms: own })]) {
      await expect(f.escrow.settle(own, [settleRow(mute, OPG)], evidence)).to.be.revertedWithCustomError(
        f.escrow,
        'EvidenceRefused',
      )
    }
    const { order } = await openOrder(f, {}, { terms: self })
    const rows = [settleRow(order, OPG)]
    // Signed for the order's twin under the verifier that stands alone.
    const twin = await settlementEvidence(f, f.node, rows)
    await expect(f.escrow.settle(self, rows, twin)).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
    await expect(f.escrow.settle(self, rows, await settlementEvidence(f, f.stranger, rows, { terms: self }))).to.be
      .reverted
    await expect(settleRows(f, rows, { terms: self })).to.emit(f.escrow, 'OrderSettled')
  })

  // Falls when a refund asks the payer's code for anything.
  it('payer delegates to hostile code after open (EIP-7702): settling, closing and reclaiming go on (E2, E6)', () =>
    isolated(async (f) => {
      const [closed, late] = [await openOrder(f), await openOrder(f)]
      await setCode(f.payer.address, concat(['0xef0100', f.home.escrow]))
      await expect(settleRows(f, [settleRow(closed.order, OPG, { close: true })])).to.changeTokenBalance(
        f.token,
        f.payer,
        closed.order.amount - OPG,
      )
      await time.increaseTo(late.order.claimBy)
      await expect(f.escrow.reclaim(f.terms, late.order)).to.changeTokenBalance(f.token, f.payer, late.order.amount)
    }))
})
