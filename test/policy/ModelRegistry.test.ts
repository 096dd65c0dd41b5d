import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { AbiCoder, ZeroAddress, id, keccak256 } from 'ethers'
import { ROYALTY_BPS, deployFixture } from '../support/fixture'

function modelIdOf(registrant: string, name: string): string {
  return keccak256(AbiCoder.defaultAbiCoder().encode(['address', 'string'], [registrant, name]))
}

describe('ModelRegistry', () => {
  describe('register', () => {
    for (const [name, bps] of [
      ['llama', 0],
      ['', 2_000],
      ['模型 '.repeat(40), 1],
    ] as const) {
      it(`gives "${name.slice(0, 8)}" an id that commits to its registrant`, async () => {
        const f = await loadFixture(deployFixture)
        const registry = f.registry.connect(f.stranger)
        const modelId = modelIdOf(f.stranger.address, name)
        expect(await registry.register.staticCall(name, bps)).to.equal(modelId)
        await expect(registry.register(name, bps))
          .to.emit(registry, 'ModelRegistered')
          .withArgs(modelId, f.stranger.address, name, bps)
        expect(await registry.ownerOf(modelId)).to.equal(f.stranger.address)
        expect(await registry.royaltyBps(modelId)).to.equal(bps)
      })
    }

    it('refuses a share over the cap (F2)', async () => {
      const f = await loadFixture(deployFixture)
      await expect(f.registry.register('m', 2_001))
        .to.be.revertedWithCustomError(f.registry, 'RoyaltyBpsTooHigh')
        .withArgs(2_001, 2_000)
    })

    it('refuses the same name of the same registrant, even after the model went to another owner', async () => {
      const f = await loadFixture(deployFixture)
      const registry = f.registry.connect(f.modelOwner)
      await expect(registry.register('model', 0))
        .to.be.revertedWithCustomError(registry, 'ModelRegisteredAlready')
        .withArgs(f.modelId)
      await registry.offer(f.modelId, f.stranger)
      await f.registry.connect(f.stranger).accept(f.modelId)
      await expect(registry.register('model', 0)).to.be.revertedWithCustomError(registry, 'ModelRegisteredAlready')
      expect(await registry.ownerOf(f.modelId)).to.equal(f.stranger.address)
    })

    it("squatter registers another's name: it gets an id of its own", async () => {
      const f = await loadFixture(deployFixture)
      await f.registry.connect(f.stranger).register('model', 2_000)
      expect(await f.registry.ownerOf(f.modelId)).to.equal(f.modelOwner.address)
      expect(await f.registry.royaltyBps(f.modelId)).to.equal(ROYALTY_BPS)
    })
  })

  describe('setRoyaltyBps', () => {
    it('sets the share up to the cap', async () => {
      const f = await loadFixture(deployFixture)
      const registry = f.registry.connect(f.modelOwner)
      await expect(registry.setRoyaltyBps(f.modelId, 2_000))
        .to.emit(registry, 'RoyaltyBpsSet')
        .withArgs(f.modelId, 2_000)
      expect(await registry.royaltyBps(f.modelId)).to.equal(2_000n)
      await expect(registry.setRoyaltyBps(f.modelId, 2_001))
        .to.be.revertedWithCustomError(registry, 'RoyaltyBpsTooHigh')
        .withArgs(2_001, 2_000)
    })

    it('obeys the owner only; an unregistered model has none', async () => {
      const f = await loadFixture(deployFixture)
      const registry = f.registry.connect(f.stranger)
      await expect(registry.setRoyaltyBps(f.modelId, 0))
        .to.be.revertedWithCustomError(registry, 'NotModelOwner')
        .withArgs(f.modelId, f.modelOwner.address, f.stranger.address)
      await expect(registry.setRoyaltyBps(id('none'), 0))
        .to.be.revertedWithCustomError(registry, 'NotModelOwner')
        .withArgs(id('none'), ZeroAddress, f.stranger.address)
    })
  })

  describe('offer and accept', () => {
    it('hands a model over in two steps, once', async () => {
      const f = await loadFixture(deployFixture)
      const owner = f.registry.connect(f.modelOwner)
      const taker = f.registry.connect(f.stranger)
      await expect(owner.offer(f.modelId, f.stranger))
        .to.emit(owner, 'ModelOffered')
        .withArgs(f.modelId, f.stranger.address)
      expect(await owner.ownerOf(f.modelId)).to.equal(f.modelOwner.address)
      await expect(taker.accept(f.modelId)).to.emit(taker, 'ModelTransferred').withArgs(f.modelId, f.stranger.address)
      expect(await owner.ownerOf(f.modelId)).to.equal(f.stranger.address)
      expect(await owner.royaltyBps(f.modelId)).to.equal(ROYALTY_BPS)
      await expect(owner.setRoyaltyBps(f.modelId, 0)).to.be.revertedWithCustomError(owner, 'NotModelOwner')
      await expect(taker.accept(f.modelId)).to.be.revertedWithCustomError(taker, 'NotOfferedModel')
    })

    it('refuses whoever it was not offered to', async () => {
      const f = await loadFixture(deployFixture)
      const thief = f.registry.connect(f.stranger)
      await expect(thief.accept(f.modelId))
        .to.be.revertedWithCustomError(thief, 'NotOfferedModel')
        .withArgs(f.modelId, ZeroAddress, f.stranger.address)
      await expect(thief.offer(f.modelId, f.stranger)).to.be.revertedWithCustomError(thief, 'NotModelOwner')
      await f.registry.connect(f.modelOwner).offer(f.modelId, f.node)
      await expect(thief.accept(f.modelId))
        .to.be.revertedWithCustomError(thief, 'NotOfferedModel')
        .withArgs(f.modelId, f.node.address, f.stranger.address)
    })

    it('takes an offer back', async () => {
      const f = await loadFixture(deployFixture)
      const owner = f.registry.connect(f.modelOwner)
      await owner.offer(f.modelId, f.stranger)
      await owner.offer(f.modelId, ZeroAddress)
      await expect(f.registry.connect(f.stranger).accept(f.modelId)).to.be.revertedWithCustomError(
        owner,
        'NotOfferedModel',
      )
    })
  })

  it('knows no owner and no share of an unregistered model', async () => {
    const f = await loadFixture(deployFixture)
    expect(await f.registry.ownerOf(id('none'))).to.equal(ZeroAddress)
    expect(await f.registry.royaltyBps(id('none'))).to.equal(0n)
  })
})
