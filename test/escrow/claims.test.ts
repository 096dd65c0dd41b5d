import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress, ZeroHash } from 'ethers'
import { OPG, deployFixture, openOrder, settleRow, settleRows } from '../support/fixture'

const FEE = 4n * OPG
const NODE = (FEE * 92n) / 100n
const FACILITATOR = FEE / 100n
const ROYALTY = FEE / 20n
const NETWORK = FEE / 50n

async function settledFixture() {
  const f = await deployFixture()
  const { order } = await openOrder(f)
  await settleRows(f, [settleRow(order, FEE)])
  return { ...f, order }
}

async function collectedFixture() {
  const f = await settledFixture()
  await f.escrow.collectNetwork([f.node])
  return f
}

describe('claim', () => {
  it('pays an account its credit, whoever calls', async () => {
    const f = await loadFixture(settledFixture)
    expect(await f.escrow.connect(f.stranger).claim.staticCall(f.node)).to.equal(NODE)
    const sent = f.escrow.connect(f.stranger).claim(f.node)
    await expect(sent).to.emit(f.escrow, 'Claimed').withArgs(f.node.address, f.node.address, NODE, NETWORK)
    await expect(sent).to.changeTokenBalances(f.token, [f.escrow, f.node, f.stranger], [-NODE, NODE, 0n])
    expect(await f.escrow.credits(f.node)).to.equal(0n)
  })

  it('pays the facilitator its share', async () => {
    const f = await loadFixture(settledFixture)
    await expect(f.escrow.claim(f.facilitator)).to.changeTokenBalance(f.token, f.facilitator, FACILITATOR)
  })

  it('pays once, and again what comes later', async () => {
    const f = await loadFixture(settledFixture)
    await f.escrow.claim(f.node)
    const nothing = f.escrow.claim(f.node)
    await expect(nothing).not.to.emit(f.token, 'Transfer')
    await expect(nothing).not.to.emit(f.escrow, 'Claimed')
    await settleRows(f, [settleRow(f.order, 2n * FEE)])
    expect(await f.escrow.credits(f.node)).to.equal(NODE)
    await expect(f.escrow.claim(f.node)).to.changeTokenBalance(f.token, f.node, NODE)
  })

  it('pays nothing to an account without credit', async () => {
    const f = await loadFixture(settledFixture)
    expect(await f.escrow.claim.staticCall(f.stranger)).to.equal(0n)
    await expect(f.escrow.claim(f.stranger)).not.to.emit(f.token, 'Transfer')
  })

  it('refuses the zero account', async () => {
    const f = await loadFixture(settledFixture)
    await expect(f.escrow.claim(ZeroAddress))
      .to.be.revertedWithCustomError(f.escrow, 'RecipientInvalid')
      .withArgs(ZeroAddress)
  })
})

describe('claimTo', () => {
  it("pays the caller's credit elsewhere", async () => {
    const f = await loadFixture(settledFixture)
    const escrow = f.escrow.connect(f.node)
    expect(await escrow.claimTo.staticCall(f.stranger)).to.equal(NODE)
    const sent = escrow.claimTo(f.stranger)
    await expect(sent).to.emit(f.escrow, 'Claimed').withArgs(f.node.address, f.stranger.address, NODE, NETWORK)
    await expect(sent).to.changeTokenBalances(f.token, [f.node, f.stranger], [0n, NODE])
  })

  it("takes nobody else's credit", async () => {
    const f = await loadFixture(settledFixture)
    await expect(f.escrow.connect(f.stranger).claimTo(f.stranger)).to.changeTokenBalance(f.token, f.stranger, 0n)
    expect(await f.escrow.credits(f.node)).to.equal(NODE)
  })

  it('refuses the zero address, and the escrow, where it would be lost', async () => {
    const f = await loadFixture(settledFixture)
    for (const to of [ZeroAddress, f.home.escrow]) {
      await expect(f.escrow.connect(f.node).claimTo(to))
        .to.be.revertedWithCustomError(f.escrow, 'RecipientInvalid')
        .withArgs(to)
    }
  })
})

describe('claimRoyalty', () => {
  it("pays a model's owner, whoever calls", async () => {
    const f = await loadFixture(settledFixture)
    const escrow = f.escrow.connect(f.stranger)
    expect(await escrow.claimRoyalty.staticCall(f.modelId, f.modelOwner)).to.equal(ROYALTY)
    const sent = escrow.claimRoyalty(f.modelId, f.modelOwner)
    await expect(sent).to.emit(f.escrow, 'RoyaltyClaimed').withArgs(f.modelId, f.modelOwner.address, ROYALTY)
    await expect(sent).to.changeTokenBalances(f.token, [f.escrow, f.modelOwner], [-ROYALTY, ROYALTY])
    expect(await f.escrow.royalties(f.modelId)).to.equal(0n)
    await expect(escrow.claimRoyalty(f.modelId, f.modelOwner)).not.to.emit(f.token, 'Transfer')
    expect(await escrow.claimRoyalty.staticCall(f.modelId, f.modelOwner)).to.equal(0n)
  })

  it('pays where the owner says', async () => {
    const f = await loadFixture(settledFixture)
    await expect(f.escrow.connect(f.modelOwner).claimRoyalty(f.modelId, f.stranger)).to.changeTokenBalance(
      f.token,
      f.stranger,
      ROYALTY,
    )
  })

  it('refuses to pay elsewhere for anybody else', async () => {
    const f = await loadFixture(settledFixture)
    await expect(f.escrow.connect(f.stranger).claimRoyalty(f.modelId, f.stranger))
      .to.be.revertedWithCustomError(f.escrow, 'NotEntitled')
      .withArgs(f.modelOwner.address, f.stranger.address)
  })

  it('refuses the zero address and the escrow, even to the owner', async () => {
    const f = await loadFixture(settledFixture)
    for (const to of [ZeroAddress, f.home.escrow]) {
      await expect(f.escrow.connect(f.modelOwner).claimRoyalty(f.modelId, to))
        .to.be.revertedWithCustomError(f.escrow, 'RecipientInvalid')
        .withArgs(to)
    }
  })

  it('knows nobody to pay for an unregistered model', async () => {
    const f = await loadFixture(settledFixture)
    await expect(f.escrow.connect(f.stranger).claimRoyalty(ZeroHash, f.stranger))
      .to.be.revertedWithCustomError(f.escrow, 'NotEntitled')
      .withArgs(ZeroAddress, f.stranger.address)
  })
})

describe('claimNetwork', () => {
  it("pays the network's recipient, whoever calls", async () => {
    const f = await loadFixture(collectedFixture)
    const escrow = f.escrow.connect(f.stranger)
    expect(await escrow.claimNetwork.staticCall(f.network)).to.equal(NETWORK)
    const sent = escrow.claimNetwork(f.network)
    await expect(sent).to.emit(f.escrow, 'NetworkClaimed').withArgs(f.network.address, NETWORK)
    await expect(sent).to.changeTokenBalances(f.token, [f.escrow, f.network], [-NETWORK, NETWORK])
    expect(await f.escrow.networkCredit()).to.equal(0n)
    await expect(escrow.claimNetwork(f.network)).not.to.emit(f.token, 'Transfer')
    expect(await escrow.claimNetwork.staticCall(f.network)).to.equal(0n)
  })

  it('pays where the recipient says', async () => {
    const f = await loadFixture(collectedFixture)
    await expect(f.escrow.connect(f.network).claimNetwork(f.stranger)).to.changeTokenBalance(
      f.token,
      f.stranger,
      NETWORK,
    )
  })

  it('pays the present recipient what was earned under the last one', async () => {
    const f = await loadFixture(collectedFixture)
    await f.policy.setNetworkRecipient(f.otherNode)
    await expect(f.escrow.connect(f.network).claimNetwork(f.network))
      .to.be.revertedWithCustomError(f.escrow, 'NotEntitled')
      .withArgs(f.otherNode.address, f.network.address)
    await expect(f.escrow.claimNetwork(f.otherNode)).to.changeTokenBalance(f.token, f.otherNode, NETWORK)
  })

  it('refuses to pay elsewhere for anybody else, and the zero address', async () => {
    const f = await loadFixture(collectedFixture)
    await expect(f.escrow.connect(f.stranger).claimNetwork(f.stranger))
      .to.be.revertedWithCustomError(f.escrow, 'NotEntitled')
      .withArgs(f.network.address, f.stranger.address)
    await expect(f.escrow.connect(f.network).claimNetwork(ZeroAddress))
      .to.be.revertedWithCustomError(f.escrow, 'RecipientInvalid')
      .withArgs(ZeroAddress)
  })
})
