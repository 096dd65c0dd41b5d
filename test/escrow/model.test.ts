import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { MaxUint256 } from 'ethers'
import { ethers } from 'hardhat'
import fc from 'fast-check'
import type { HostileFunder } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFunder'
import type { HostileToken } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileToken'
import { NETWORK_BPS, PERMIT2_ADDRESS, ROYALTY_BPS, deploy, deployAround } from '../support/fixture'
import { EscrowModel } from '../support/model'
import { ModelPlayer } from '../support/modelPlayer'
import { modelStep } from '../support/modelSteps'
import { installPermit2 } from '../support/permit2'

/** More of them in `npm run test:deep`. */
const RUNS = Number(process.env.DEEP_RUNS ?? 15)

/** A token that refuses whom it is told to, and a funder, both otherwise honest. */
async function modelFixture() {
  await installPermit2()
  const token = await deploy<HostileToken>('HostileToken')
  const f = { ...(await deployAround(await token.getAddress())), token }
  const funder = await deploy<HostileFunder>('HostileFunder', [f.home.token])
  for (const account of [f.payer, f.otherPayer, f.stranger, funder]) await token.mint(account, 10n ** 26n)
  for (const payer of [f.payer, f.otherPayer]) await token.connect(payer).approve(PERMIT2_ADDRESS, MaxUint256)
  await token.connect(f.stranger).approve(f.home.escrow, MaxUint256)
  return { ...f, funder }
}

describe('random sequences of calls against a model', () => {
  it('the escrow does what an independent model does, event by event and unit by unit, and its books can be rebuilt from events (E1, E4, E5, E7, E11)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(modelStep, { minLength: 25, maxLength: 45, size: 'max' }), async (steps) => {
        const f = await loadFixture(modelFixture)
        const model = new EscrowModel({
          escrow: f.home.escrow,
          networkBps: NETWORK_BPS,
          royaltyBps: ROYALTY_BPS,
          modelOwner: f.modelOwner.address,
          network: f.network.address,
          selectorOf: (error) => f.escrow.interface.getError(error)?.selector ?? error,
        })
        const player = new ModelPlayer(f, model, await f.funder.getAddress())
        await player.start(await ethers.provider.getLogs({ address: f.home.escrow, fromBlock: 0 }))
        for (const step of steps) {
          await player.play(step)
          await player.check()
        }
      }),
      { numRuns: RUNS },
    )
  }).timeout(60_000 + RUNS * 10_000)
})
