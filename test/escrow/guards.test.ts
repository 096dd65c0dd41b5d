import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { Interface, MaxUint256, ZeroHash, dataSlice, id, toBeHex, zeroPadValue } from 'ethers'
import { ethers } from 'hardhat'
import type { GuardHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/GuardHarness'
import type { ScriptedTEERegistry } from '../../packages/bindings/src/generated/typechain/contracts/dev/ScriptedTEERegistry'
import type { DevOPG } from '../../packages/bindings/src/generated/typechain/contracts/dev/DevOPG'
import { deploy } from '../support/fixture'

const ID = id('an order')
const BALANCE_OF = dataSlice(id('balanceOf(address)'), 0, 4)
const GAS_ERRORS = { interface: new Interface(['error GasTooLow(bytes32 orderId, uint256 needed, uint256 left)']) }

async function harnessFixture() {
  const harness = await deploy<GuardHarness>('GuardHarness')
  const scripted = await deploy<ScriptedTEERegistry>('ScriptedTEERegistry')
  return { harness, scripted }
}

describe('GasFloor', () => {
  for (const gasForCall of [0n, 62n, 63n, 64n, 150_000n, 6_300_001n]) {
    it(`asks for ${String(gasForCall)} gas, the 64th part that a call may not have, and 8,000 for the way`, async () => {
      const { harness } = await loadFixture(harnessFixture)
      const needed = gasForCall + gasForCall / 63n + 8_000n
      await harness.requireGas.staticCall(ID, gasForCall, { gasLimit: needed + 30_000n })
      await expect(harness.requireGas.staticCall(ID, gasForCall, { gasLimit: needed + 21_900n }))
        .to.be.revertedWithCustomError(GAS_ERRORS, 'GasTooLow')
        .withArgs(ID, needed, (left: bigint) => left < needed)
    })
  }
})

describe('OwnBalance', () => {
  it('is what the token says of the asker, and of nobody else', async () => {
    const { harness } = await loadFixture(harnessFixture)
    const token = await deploy<DevOPG>('DevOPG')
    const [account] = await ethers.getSigners()
    await token.mint(account?.address ?? '', 5n)
    expect(await harness.ownBalance(token)).to.equal(0n)
    await token.mint(harness, 7n)
    expect(await harness.ownBalance(token)).to.equal(7n)
  })

  it('takes the first word of a longer answer', async () => {
    const { harness, scripted } = await loadFixture(harnessFixture)
    for (const held of [0n, 1n, MaxUint256]) {
      await scripted.script(BALANCE_OF, toBeHex(held, 32) + ZeroHash.slice(2))
      expect(await harness.ownBalance(scripted)).to.equal(held)
    }
  })

  it('refuses a token that reverts, says too little, or is none', async () => {
    const { harness, scripted } = await loadFixture(harnessFixture)
    const refuses = async (): Promise<void> => {
      await expect(harness.ownBalance(scripted))
        .to.be.revertedWithCustomError(harness, 'BalanceUnknown')
        .withArgs(await scripted.getAddress())
    }
    await refuses() // reverts, and with more than a word
    await scripted.script(BALANCE_OF, zeroPadValue('0x01', 31))
    await refuses()
    await scripted.script(BALANCE_OF, '0x')
    await refuses()
    const nobody = '0x00000000000000000000000000000000000A11cE'
    await expect(harness.ownBalance(nobody)).to.be.revertedWithCustomError(harness, 'BalanceUnknown').withArgs(nobody)
  })
})
