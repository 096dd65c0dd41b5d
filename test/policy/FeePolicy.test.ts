import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress } from 'ethers'
import type { FeePolicy } from '../../packages/bindings/src/generated/typechain/contracts/policy/FeePolicy'
import { NETWORK_BPS, deploy, deployFixture } from '../support/fixture'

describe('FeePolicy', () => {
  it('starts with the share, recipient and owner it was given', async () => {
    const f = await loadFixture(deployFixture)
    expect(await f.policy.networkBps()).to.equal(NETWORK_BPS)
    expect(await f.policy.networkRecipient()).to.equal(f.network.address)
    expect(await f.policy.owner()).to.equal(f.deployer.address)
  })

  it('cannot start over the cap or without a recipient (F2)', async () => {
    const f = await loadFixture(deployFixture)
    await deploy<FeePolicy>('FeePolicy', [f.deployer.address, 1_000, f.network.address])
    await expect(deploy('FeePolicy', [f.deployer.address, 1_001, f.network.address]))
      .to.be.revertedWithCustomError(f.policy, 'NetworkBpsTooHigh')
      .withArgs(1_001, 1_000)
    await expect(deploy('FeePolicy', [f.deployer.address, 0, ZeroAddress])).to.be.revertedWithCustomError(
      f.policy,
      'NetworkRecipientZero',
    )
  })

  describe('setNetworkBps', () => {
    for (const bps of [0, 1_000]) {
      it(`takes ${String(bps)}`, async () => {
        const f = await loadFixture(deployFixture)
        await expect(f.policy.setNetworkBps(bps)).to.emit(f.policy, 'NetworkBpsSet').withArgs(bps)
        expect(await f.policy.networkBps()).to.equal(bps)
      })
    }

    it('refuses more than the cap (F2)', async () => {
      const f = await loadFixture(deployFixture)
      await expect(f.policy.setNetworkBps(1_001))
        .to.be.revertedWithCustomError(f.policy, 'NetworkBpsTooHigh')
        .withArgs(1_001, 1_000)
    })

    it('obeys the owner only', async () => {
      const f = await loadFixture(deployFixture)
      await expect(f.policy.connect(f.stranger).setNetworkBps(0)).to.be.revertedWithCustomError(
        f.policy,
        'OwnableUnauthorizedAccount',
      )
    })
  })

  describe('setNetworkRecipient', () => {
    it('sets who claims', async () => {
      const f = await loadFixture(deployFixture)
      await expect(f.policy.setNetworkRecipient(f.stranger))
        .to.emit(f.policy, 'NetworkRecipientSet')
        .withArgs(f.stranger.address)
      expect(await f.policy.networkRecipient()).to.equal(f.stranger.address)
    })

    it('refuses the zero address, and everyone but the owner', async () => {
      const f = await loadFixture(deployFixture)
      await expect(f.policy.setNetworkRecipient(ZeroAddress)).to.be.revertedWithCustomError(
        f.policy,
        'NetworkRecipientZero',
      )
      await expect(f.policy.connect(f.network).setNetworkRecipient(f.network)).to.be.revertedWithCustomError(
        f.policy,
        'OwnableUnauthorizedAccount',
      )
    })
  })

  it('changes owner in two steps', async () => {
    const f = await loadFixture(deployFixture)
    await f.policy.transferOwnership(f.stranger)
    expect(await f.policy.owner()).to.equal(f.deployer.address)
    await f.policy.connect(f.stranger).acceptOwnership()
    await expect(f.policy.setNetworkBps(0)).to.be.revertedWithCustomError(f.policy, 'OwnableUnauthorizedAccount')
  })
})
