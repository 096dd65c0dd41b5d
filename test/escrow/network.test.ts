import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress } from 'ethers'
import type { HostileFeePolicy } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFeePolicy'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import {
  GAS_PER_ORDER,
  NETWORK_BPS,
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployFixture,
  makeOrder,
  nodeOnly,
  openOrder,
  settleRow,
  settleRows,
  signOrder,
} from '../support/fixture'
import { allocate, openRouted, routedTerms, settleSlices } from '../support/routed'

const FEE = 4n * OPG
const NODE = (FEE * 92n) / 100n
const NETWORK = FEE / 50n

/** Two nodes, each with a fee that was settled; nothing is collected. */
async function settledFixture() {
  const f = await deployFixture()
  const { order } = await openOrder(f)
  await settleRows(f, [settleRow(order, FEE)])
  const other = { ...f, node: f.otherNode, terms: { ...f.terms, node: f.otherNode.address } }
  const second = await openOrder(other)
  await settleRows(other, [settleRow(second.order, 2n * FEE)])
  return { ...f, order, escrow: f.escrow.connect(f.stranger) }
}

async function hostilePolicyFixture() {
  const f = await deployFixture()
  const policy = await deploy<HostileFeePolicy>('HostileFeePolicy')
  const escrow = await deploy<InferenceEscrow>('InferenceEscrow', [f.home.token, PERMIT2_ADDRESS, policy, f.registry])
  return { ...f, policy, escrow, home: { ...f.home, escrow: await escrow.getAddress() } }
}

describe('networkCreditWith', () => {
  it('is what the network has earned through each node, apart from what is collected', async () => {
    const f = await loadFixture(settledFixture)
    expect(await f.escrow.networkCreditWith(f.node)).to.equal(NETWORK)
    expect(await f.escrow.networkCreditWith(f.otherNode)).to.equal(2n * NETWORK)
    expect(await f.escrow.networkCreditWith(f.stranger)).to.equal(0n)
    expect(await f.escrow.networkCredit()).to.equal(0n)
    expect(await f.escrow.credits(f.node)).to.equal(NODE)
  })

  it("cannot be claimed by the node: its claim pays its own credit, and the network's moves on", async () => {
    const f = await loadFixture(settledFixture)
    await f.escrow.connect(f.node).claimTo(f.stranger)
    expect(await f.token.balanceOf(f.stranger)).to.equal(NODE)
    expect(await f.escrow.networkCreditWith(f.node)).to.equal(0n)
    expect(await f.escrow.networkCredit()).to.equal(NETWORK)
    await expect(f.escrow.connect(f.node).claimTo(f.stranger)).to.changeTokenBalance(f.token, f.escrow, 0n)
    await expect(f.escrow.claimNetwork(f.network)).to.changeTokenBalance(f.token, f.network, NETWORK)
  })

  it("moves on with a node's claim even where the node itself has nothing left", async () => {
    const f = await loadFixture(hostilePolicyFixture)
    await f.policy.setNetworkBps(1_000)
    await f.escrow.syncNetworkBps()
    const terms = nodeOnly(f.terms)
    const { order } = await openOrder(f, {}, { terms })
    await settleRows(f, [settleRow(order, 9n)], { terms })
    await f.escrow.claim(f.node)
    await settleRows(f, [settleRow(order, 10n)], { terms }) // the tenth unit is the network's
    expect(await f.escrow.credits(f.node)).to.equal(0n)
    const sent = f.escrow.claim(f.node)
    await expect(sent).to.emit(f.escrow, 'Claimed').withArgs(f.node.address, f.node.address, 0n, 1n)
    await expect(sent).not.to.emit(f.token, 'Transfer')
    expect(await f.escrow.networkCredit()).to.equal(1n)
  })
})

describe('collectNetwork', () => {
  it('collects what waits with the nodes, whoever calls, and leaves them their own', async () => {
    const f = await loadFixture(settledFixture)
    const nodes = [f.node.address, f.stranger.address, f.otherNode.address]
    expect(await f.escrow.collectNetwork.staticCall(nodes)).to.equal(3n * NETWORK)
    const sent = f.escrow.collectNetwork(nodes)
    await expect(sent).to.emit(f.escrow, 'NetworkCollected').withArgs(f.node.address, NETWORK)
    await expect(sent)
      .to.emit(f.escrow, 'NetworkCollected')
      .withArgs(f.otherNode.address, 2n * NETWORK)
    await expect(sent).to.changeTokenBalance(f.token, f.escrow, 0n)
    const receipt = await (await sent).wait()
    expect(receipt?.logs.length).to.equal(2) // nothing about nodes with nothing
    expect(await f.escrow.networkCredit()).to.equal(3n * NETWORK)
    for (const node of nodes) expect(await f.escrow.networkCreditWith(node)).to.equal(0n)
    expect(await f.escrow.credits(f.node)).to.equal(NODE)
    await expect(f.escrow.claim(f.node)).to.emit(f.escrow, 'Claimed').withArgs(f.node.address, f.node.address, NODE, 0n)
    await expect(f.escrow.claimNetwork(f.network)).to.changeTokenBalance(f.token, f.network, 3n * NETWORK)
  })

  it('collects once, also from a node that is named twice, and again what comes later (E5)', async () => {
    const f = await loadFixture(settledFixture)
    const nodes = [f.node.address, f.node.address]
    expect(await f.escrow.collectNetwork.staticCall(nodes)).to.equal(NETWORK)
    await f.escrow.collectNetwork(nodes)
    expect(await f.escrow.collectNetwork.staticCall(nodes)).to.equal(0n)
    await expect(f.escrow.collectNetwork(nodes)).not.to.emit(f.escrow, 'NetworkCollected')
    await settleRows(f, [settleRow(f.order, 2n * FEE)])
    await f.escrow.collectNetwork(nodes)
    expect(await f.escrow.networkCredit()).to.equal(2n * NETWORK)
  })

  it('takes no nodes at all', async () => {
    const f = await loadFixture(settledFixture)
    expect(await f.escrow.collectNetwork.staticCall([])).to.equal(0n)
    await expect(f.escrow.collectNetwork([])).not.to.emit(f.escrow, 'NetworkCollected')
  })

  it('finds nothing with the zero address, where shares of slices would be: they are collected already', async () => {
    const f = await loadFixture(settledFixture)
    const routed = { ...f, terms: routedTerms(f.terms) }
    const { order } = await openRouted(routed)
    await settleSlices(routed, await allocate(routed, order, { cap: OPG }), [{ index: 0, fee: OPG }])
    expect(await f.escrow.networkCredit()).to.equal(OPG / 50n)
    expect(await f.escrow.collectNetwork.staticCall([ZeroAddress])).to.equal(0n)
  })
})

describe('syncNetworkBps', () => {
  it("takes over the policy's share, whoever calls, for orders that open from then on (E9)", async () => {
    const f = await loadFixture(deployFixture)
    const before = await openOrder(f)
    await f.policy.setNetworkBps(1_000)
    const between = await openOrder(f)
    expect(await f.escrow.networkBps()).to.equal(NETWORK_BPS)
    const escrow = f.escrow.connect(f.stranger)
    expect(await escrow.syncNetworkBps.staticCall()).to.equal(1_000n)
    await expect(escrow.syncNetworkBps()).to.emit(f.escrow, 'NetworkBpsSynced').withArgs(1_000)
    expect(await f.escrow.networkBps()).to.equal(1_000n)
    const after = await openOrder(f)
    const bps = []
    for (const { orderId } of [before, between, after]) bps.push((await f.escrow.orders(orderId)).networkBps)
    expect(bps).to.deep.equal([NETWORK_BPS, NETWORK_BPS, 1_000n])
    await settleRows(
      f,
      [before, between, after].map(({ order }) => settleRow(order, OPG)),
    )
    expect(await f.escrow.networkCreditWith(f.node)).to.equal(OPG / 50n + OPG / 50n + OPG / 10n)
  })

  it('starts with the share of the policy at deployment, and says so', async () => {
    const f = await loadFixture(deployFixture)
    expect(await f.escrow.networkBps()).to.equal(NETWORK_BPS)
    const deployed = f.escrow.deploymentTransaction()
    await expect(deployed).to.emit(f.escrow, 'NetworkBpsSynced').withArgs(NETWORK_BPS)
  })

  it('cannot start with a policy over the cap (F2)', async () => {
    const f = await loadFixture(hostilePolicyFixture)
    await f.policy.setNetworkBps(1_001)
    await expect(deploy('InferenceEscrow', [f.home.token, PERMIT2_ADDRESS, f.policy, f.registry]))
      .to.be.revertedWithCustomError(f.escrow, 'NetworkBpsTooHigh')
      .withArgs(1_001, 1_000)
  })

  it('takes a share at the cap, and zero, and nothing above (F2)', async () => {
    const f = await loadFixture(hostilePolicyFixture)
    for (const bps of [1_000, 0]) {
      await f.policy.setNetworkBps(bps)
      await f.escrow.syncNetworkBps()
      expect(await f.escrow.networkBps()).to.equal(bps)
    }
    for (const bps of [1_001, 65_535]) {
      await f.policy.setNetworkBps(bps)
      await expect(f.escrow.syncNetworkBps())
        .to.be.revertedWithCustomError(f.escrow, 'NetworkBpsTooHigh')
        .withArgs(bps, 1_000)
      expect(await f.escrow.networkBps()).to.equal(0n)
    }
  })

  it('policy reverts: neither opening, by any way in, nor settling is stopped (E6, F17)', async () => {
    const f = await loadFixture(hostilePolicyFixture)
    await f.policy.setNetworkBps(300)
    await f.escrow.syncNetworkBps()
    await f.policy.setReverts(true)
    await expect(f.escrow.syncNetworkBps()).to.be.revertedWithoutReason()
    const { order, orderId } = await openOrder(f)
    const signed = await signOrder(f, f.payer, await makeOrder(f))
    await expect(f.escrow.openBatch(f.terms, [signed], GAS_PER_ORDER)).to.emit(f.escrow, 'OrderOpened')
    await f.token.connect(f.payer).approve(f.home.escrow, OPG)
    const small = await makeOrder(f, { amount: OPG })
    await expect(f.escrow.connect(f.payer).openFunded(f.terms, small)).to.emit(f.escrow, 'OrderOpened')
    expect((await f.escrow.orders(orderId)).networkBps).to.equal(300n)
    await expect(settleRows(f, [settleRow(order, OPG)])).to.emit(f.escrow, 'OrderSettled')
    await expect(f.escrow.claim(f.node)).to.emit(f.escrow, 'Claimed')
    expect(await f.escrow.networkCredit()).to.equal((OPG * 3n) / 100n)
  })
})
