import { impersonateAccount, loadFixture, setBalance } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { ZeroAddress, dataSlice, id } from 'ethers'
import { ethers } from 'hardhat'
import type { HostileNetworkEscrow } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileNetworkEscrow'
import type { HostileToken } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileToken'
import type { ValidatorPool } from '../../packages/bindings/src/generated/typechain/contracts/policy/ValidatorPool'
import {
  NETWORK_BPS,
  OPG,
  deploy,
  deployAround,
  deployFixture,
  makeOrder,
  nodeOnly,
  openOrder,
  settleRow,
  settleRows,
  settlementEvidence,
  type Account,
  type Fixture,
  type Order,
} from '../support/fixture'

const COLLECT_GAS = 250_000n

async function poolFixture() {
  const f = await deployFixture()
  const pool = await deploy<ValidatorPool>('ValidatorPool', [f.deployer.address, f.home.token, f.home.escrow])
  const poolAddress = await pool.getAddress()
  await f.policy.setNetworkRecipient(poolAddress)
  const terms = nodeOnly(f.terms)
  const { order, orderId } = await openOrder(f, { amount: 1_000n * OPG }, { terms })
  const [alice, bob, carol] = [f.stranger, f.otherNode, f.modelOwner]
  /** Brings the network's collected credit in the escrow up by 2 % of `fee`. */
  const earn = async (fee: bigint): Promise<bigint> => {
    const { released } = await f.escrow.orders(orderId)
    await settleRows(f, [settleRow(order, released + fee)], { terms })
    await f.escrow.collectNetwork([f.node])
    return (fee * NETWORK_BPS) / 10_000n
  }
  return { ...f, pool, poolAddress, terms, order, alice, bob, carol, earn }
}

function weights(...pairs: readonly (readonly [Account, number])[]) {
  return pairs.map(([{ address }, weight]) => ({ validator: address, weight }))
}

describe('ValidatorPool', () => {
  it('starts empty, with the owner, token and escrow it was given', async () => {
    const f = await loadFixture(poolFixture)
    expect(await f.pool.owner()).to.equal(f.deployer.address)
    expect(await f.pool.TOKEN()).to.equal(f.home.token)
    expect(await f.pool.ESCROW()).to.equal(f.home.escrow)
    expect(await f.pool.COLLECT_GAS()).to.equal(COLLECT_GAS)
    expect(await f.pool.totalWeight()).to.equal(0n)
    expect(await f.pool.undistributed()).to.equal(0n)
  })

  it('is not deployed over an escrow without code, or without an owner', async () => {
    const f = await loadFixture(poolFixture)
    await expect(deploy('ValidatorPool', [f.deployer.address, f.home.token, f.stranger.address]))
      .to.be.revertedWithCustomError(f.pool, 'EscrowWithoutCode')
      .withArgs(f.stranger.address)
    await expect(deploy('ValidatorPool', [ZeroAddress, f.home.token, f.home.escrow])).to.be.revertedWithCustomError(
      f.pool,
      'OwnableInvalidOwner',
    )
  })

  describe('distribute', () => {
    it("collects the network's credit from the escrow and divides it by weight, whoever calls", async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1], [f.bob, 3]))
      const share = await f.earn(100n * OPG)
      await expect(f.pool.connect(f.carol).distribute()).to.emit(f.pool, 'Distributed').withArgs(share, 4n)
      expect(await f.escrow.networkCredit()).to.equal(0n)
      expect(await f.pool.claimable(f.alice)).to.equal(share / 4n)
      expect(await f.pool.claimable(f.bob)).to.equal((share * 3n) / 4n)
      expect(await f.pool.claimable(f.carol)).to.equal(0n)
    })

    it('divides what came from elsewhere too: a gift, or a claim that somebody else made', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1]))
      const share = await f.earn(100n * OPG)
      await f.escrow.connect(f.carol).claimNetwork(f.poolAddress)
      await f.token.mint(f.poolAddress, 7n)
      expect(await f.pool.undistributed()).to.equal(share + 7n)
      expect(await f.pool.distribute.staticCall()).to.equal(share + 7n)
      await f.pool.distribute()
      expect(await f.pool.claimable(f.alice)).to.equal(share + 7n)
      expect(await f.pool.undistributed()).to.equal(0n)
    })

    it('does nothing, and says nothing, where there is nothing new', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1]))
      await f.earn(100n * OPG)
      await f.pool.distribute()
      expect(await f.pool.distribute.staticCall()).to.equal(0n)
      await expect(f.pool.distribute()).not.to.emit(f.pool, 'Distributed')
    })

    it('keeps what comes until there is a validator', async () => {
      const f = await loadFixture(poolFixture)
      const share = await f.earn(100n * OPG)
      expect(await f.pool.distribute.staticCall()).to.equal(0n)
      await expect(f.pool.distribute()).not.to.emit(f.pool, 'Distributed')
      expect(await f.pool.undistributed()).to.equal(share)
      await f.pool.setWeights(weights([f.alice, 1]))
      expect(await f.pool.claimable(f.alice)).to.equal(0n)
      await f.pool.distribute()
      expect(await f.pool.claimable(f.alice)).to.equal(share)
    })

    it('rounds down, never pays more than came, and loses nothing to the number of divisions', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1], [f.bob, 1], [f.carol, 1]))
      for (let i = 0; i < 10; ++i) {
        await f.token.mint(f.poolAddress, 1n)
        await f.pool.distribute()
      }
      for (const validator of [f.alice, f.bob, f.carol]) {
        expect(await f.pool.claimable(validator)).to.equal(3n) // ten thirds each
      }
      await f.token.mint(f.poolAddress, 3n)
      await f.pool.distribute()
      for (const validator of [f.alice, f.bob, f.carol]) {
        await f.pool.claim(validator)
        expect(await f.token.balanceOf(validator)).to.equal(4n)
      }
      expect(await f.token.balanceOf(f.pool)).to.equal(1n)
    })

    it('divides as many base units as there could ever be, by the greatest weights', async () => {
      const f = await loadFixture(poolFixture)
      const most = 2 ** 32 - 1
      await f.pool.setWeights(weights([f.alice, most], [f.bob, most]))
      expect(await f.pool.totalWeight()).to.equal(2n * BigInt(most))
      const supply = 2n ** 128n
      await f.token.mint(f.poolAddress, supply)
      await f.pool.distribute()
      expect(await f.pool.claimable(f.alice)).to.equal(supply / 2n - 1n) // a third of 2^33 - 2 does not fit 2^96
      await f.pool.claim(f.alice)
      await f.pool.claim(f.bob)
      expect(await f.token.balanceOf(f.pool)).to.equal(2n)
    })
  })

  describe('setWeights', () => {
    it('tells each weight, and adds them up; a later one of the same call counts', async () => {
      const f = await loadFixture(poolFixture)
      await expect(f.pool.setWeights(weights([f.alice, 5], [f.bob, 7], [f.alice, 2])))
        .to.emit(f.pool, 'WeightSet')
        .withArgs(f.alice.address, 5)
        .and.to.emit(f.pool, 'WeightSet')
        .withArgs(f.bob.address, 7)
        .and.to.emit(f.pool, 'WeightSet')
        .withArgs(f.alice.address, 2)
      expect(await f.pool.weightOf(f.alice)).to.equal(2n)
      expect(await f.pool.totalWeight()).to.equal(9n)
    })

    it('governance cannot change the past: what came in before belongs to the validators of that time', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1]))
      const inEscrow = await f.earn(100n * OPG) // unclaimed there
      await f.token.mint(f.poolAddress, 7n) // here, and not divided
      await expect(f.pool.setWeights(weights([f.alice, 0], [f.bob, 1])))
        .to.emit(f.pool, 'Distributed')
        .withArgs(inEscrow + 7n, 1n)
      const later = await f.earn(50n * OPG)
      await f.pool.distribute()
      expect(await f.pool.claimable(f.alice)).to.equal(inEscrow + 7n)
      expect(await f.pool.claimable(f.bob)).to.equal(later)
    })

    it('a validator that is removed keeps what it earned, and one that returns begins anew', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1], [f.bob, 1]))
      const first = await f.earn(100n * OPG)
      await f.pool.setWeights(weights([f.alice, 0]))
      await f.earn(100n * OPG)
      await f.pool.setWeights(weights([f.alice, 1]))
      expect(await f.pool.claimable(f.alice)).to.equal(first / 2n)
      await f.pool.claim(f.alice)
      expect(await f.token.balanceOf(f.alice)).to.equal(first / 2n)
    })

    it('keeps what comes after the last validator was removed', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1]))
      await f.pool.setWeights(weights([f.alice, 0]))
      const share = await f.earn(100n * OPG)
      await f.pool.distribute()
      expect(await f.pool.undistributed()).to.equal(share)
      expect(await f.pool.claimable(f.alice)).to.equal(0n)
    })

    it('refuses a validator that is zero or the pool', async () => {
      const f = await loadFixture(poolFixture)
      for (const validator of [ZeroAddress, f.poolAddress]) {
        await expect(f.pool.setWeights([{ validator, weight: 1 }]))
          .to.be.revertedWithCustomError(f.pool, 'RecipientInvalid')
          .withArgs(validator)
      }
    })

    it('obeys the owner only, who changes in two steps', async () => {
      const f = await loadFixture(poolFixture)
      await expect(f.pool.connect(f.alice).setWeights([]))
        .to.be.revertedWithCustomError(f.pool, 'OwnableUnauthorizedAccount')
        .withArgs(f.alice.address)
      await f.pool.transferOwnership(f.alice)
      await f.pool.setWeights([]) // still
      await f.pool.connect(f.alice).acceptOwnership()
      await expect(f.pool.setWeights([])).to.be.revertedWithCustomError(f.pool, 'OwnableUnauthorizedAccount')
    })
  })

  describe('claim', () => {
    async function earnedFixture() {
      const f = await poolFixture()
      await f.pool.setWeights(weights([f.alice, 1], [f.bob, 1]))
      const share = await f.earn(100n * OPG)
      await f.pool.distribute()
      return { ...f, half: share / 2n }
    }

    it('pays a validator, whoever calls, once', async () => {
      const f = await loadFixture(earnedFixture)
      await expect(f.pool.connect(f.carol).claim(f.alice))
        .to.emit(f.pool, 'Claimed')
        .withArgs(f.alice.address, f.alice.address, f.half)
      await expect(f.pool.claim(f.alice)).not.to.emit(f.pool, 'Claimed')
      expect(await f.token.balanceOf(f.alice)).to.equal(f.half)
      expect(await f.pool.claimable(f.bob)).to.equal(f.half)
    })

    it('pays elsewhere for the validator itself', async () => {
      const f = await loadFixture(earnedFixture)
      await expect(f.pool.connect(f.alice).claimTo(f.carol))
        .to.emit(f.pool, 'Claimed')
        .withArgs(f.alice.address, f.carol.address, f.half)
      expect(await f.token.balanceOf(f.carol)).to.equal(f.half)
      expect(await f.pool.connect(f.alice).claimTo.staticCall(f.carol)).to.equal(0n)
    })

    it('a stranger claims what is not its own: nothing', async () => {
      const f = await loadFixture(earnedFixture)
      await f.pool.connect(f.carol).claimTo(f.carol)
      expect(await f.token.balanceOf(f.carol)).to.equal(0n)
    })

    it('keeps fractions: who claims after each division gets as much as who claims once', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1], [f.bob, 1], [f.carol, 1]))
      const paid: bigint[] = []
      for (let i = 0; i < 3; ++i) {
        await f.token.mint(f.poolAddress, 4n)
        await f.pool.distribute()
        paid.push(await f.pool.claim.staticCall(f.alice))
        await f.pool.claim(f.alice)
      }
      await f.token.mint(f.poolAddress, 1n) // over what the divisions rounded down
      await f.pool.distribute()
      await f.pool.claim(f.alice)
      await f.pool.claim(f.bob)
      expect(paid).to.deep.equal([1n, 1n, 1n])
      expect(await f.token.balanceOf(f.alice)).to.equal(4n)
      expect(await f.token.balanceOf(f.bob)).to.equal(4n)
    })

    it('sends nothing to nobody, nor back here', async () => {
      const f = await loadFixture(earnedFixture)
      for (const to of [ZeroAddress, f.poolAddress]) {
        await expect(f.pool.connect(f.alice).claimTo(to))
          .to.be.revertedWithCustomError(f.pool, 'RecipientInvalid')
          .withArgs(to)
        await expect(f.pool.claim(to)).to.be.revertedWithCustomError(f.pool, 'RecipientInvalid')
      }
    })
  })

  describe('when the escrow does not pay', () => {
    async function hostileFixture() {
      const f = await deployFixture()
      const hostile = await deploy<HostileNetworkEscrow>('HostileNetworkEscrow', [f.home.token])
      const pool = await deploy<ValidatorPool>('ValidatorPool', [
        f.deployer.address,
        f.home.token,
        await hostile.getAddress(),
      ])
      const [alice, bob] = [f.stranger, f.otherNode]
      await pool.setWeights(weights([alice, 1]))
      await f.token.mint(hostile, OPG)
      return { ...f, hostile, pool, poolAddress: await pool.getAddress(), alice, bob }
    }

    for (const [mood, name, reason] of [
      [1, 'reverts', dataSlice(id('NoMood()'), 0, 4)],
      [2, 'burns its gas', '0x00000000'],
      [5, 'reverts with a flood', '0x00000000'],
    ] as const) {
      it(`because it ${name}: governance goes on, and says so`, async () => {
        const f = await loadFixture(hostileFixture)
        await f.hostile.setMood(mood)
        await f.token.mint(f.poolAddress, 7n)
        // So little gas that an escrow which got all of it would leave too little.
        await expect(f.pool.setWeights(weights([f.alice, 0], [f.bob, 1]), { gasLimit: 600_000n }))
          .to.emit(f.pool, 'CollectFailed')
          .withArgs(reason)
          .and.to.emit(f.pool, 'Distributed')
          .withArgs(7n, 1n)
        expect(await f.pool.claimable(f.alice)).to.equal(7n) // what was here
        await f.hostile.setMood(0)
        await f.pool.distribute()
        expect(await f.pool.claimable(f.bob)).to.equal(OPG) // what comes now
      })
    }

    for (const [mood, name] of [
      [3, 'nothing'],
      [4, 'a flood'],
    ] as const) {
      it(`and returns ${name}: its answer is not read`, async () => {
        const f = await loadFixture(hostileFixture)
        await f.hostile.setMood(mood)
        await expect(f.pool.setWeights(weights([f.bob, 1]))).not.to.emit(f.pool, 'CollectFailed')
        expect(await f.pool.weightOf(f.bob)).to.equal(1n)
      })
    }

    it('because the pool is not the recipient now: what lies there is not its own', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1]))
      const share = await f.earn(100n * OPG)
      await f.policy.setNetworkRecipient(f.network)
      const notEntitled = f.escrow.interface.getError('NotEntitled')?.selector
      await expect(f.pool.setWeights(weights([f.bob, 1])))
        .to.emit(f.pool, 'CollectFailed')
        .withArgs(notEntitled)
      expect(await f.escrow.networkCredit()).to.equal(share)
    })

    it('whoever executes gives too little gas, so that the collection fails and new validators get it: refused', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1]))
      const share = await f.earn(100n * OPG)
      const change = weights([f.alice, 0], [f.bob, 1])
      let outcomes = 0
      for (let gasLimit = 40_000n; gasLimit <= 520_000n; gasLimit += 20_000n) {
        const snapshot: unknown = await ethers.provider.send('evm_snapshot', [])
        const receipt = await f.pool
          .setWeights(change, { gasLimit })
          .then(async (sent) => sent.wait())
          .catch(() => null)
        if (receipt === null) expect(await f.pool.weightOf(f.alice), String(gasLimit)).to.equal(1n)
        else expect(await f.pool.claimable(f.alice), String(gasLimit)).to.equal(share)
        outcomes |= receipt === null ? 1 : 2
        await ethers.provider.send('evm_revert', [snapshot])
      }
      expect(outcomes, 'some of both').to.equal(3)
      // What the call gets, the 64th part that stays behind, and what is spent before it (EIP-150).
      const needed = (250_000n * 64n) / 63n + 5_000n
      await expect(f.pool.setWeights.staticCall(change, { gasLimit: 200_000n }))
        .to.be.revertedWithCustomError(f.pool, 'GasTooLow')
        .withArgs(needed, (left: bigint) => left < needed)
    })

    it('the escrow gets its gas in full, or is not called', async () => {
      const f = await loadFixture(hostileFixture)
      let least: bigint | undefined
      for (let gasLimit = 270_000n; gasLimit <= 300_000n; gasLimit += 500n) {
        await f.hostile.setMood(0)
        const snapshot: unknown = await ethers.provider.send('evm_snapshot', [])
        const receipt = await f.pool
          .distribute({ gasLimit })
          .then(async (sent) => sent.wait())
          .catch(() => null)
        if (receipt !== null) least ??= await f.hostile.gasSeen()
        await ethers.provider.send('evm_revert', [snapshot])
      }
      if (least === undefined) throw new TypeError('No gas limit was enough')
      expect(least).to.be.greaterThan(COLLECT_GAS - 5_000n) // less what the mock used before it looked
    })
  })

  describe('attacks by calling back', () => {
    it('the escrow calls back while it is asked to pay: each entrance is shut', async () => {
      const f = await deployFixture()
      const hostile = await deploy<HostileNetworkEscrow>('HostileNetworkEscrow', [f.home.token])
      const escrowAddress = await hostile.getAddress()
      const pool = await deploy<ValidatorPool>('ValidatorPool', [escrowAddress, f.home.token, escrowAddress])
      const calls = [
        pool.interface.encodeFunctionData('distribute'),
        pool.interface.encodeFunctionData('claim', [f.node.address]),
        pool.interface.encodeFunctionData('claimTo', [f.node.address]),
        pool.interface.encodeFunctionData('setWeights', [[]]),
      ]
      for (const call of calls) {
        await hostile.setCallback(call)
        await pool.distribute()
        expect(await hostile.callbackSucceeded()).to.equal(false)
        expect(await hostile.callbackAnswer()).to.equal(id('ReentrancyGuardReentrantCall()').slice(0, 10))
      }
    })

    async function hostileTokenFixture() {
      const base = await deployFixture()
      const token = await deploy<HostileToken>('HostileToken')
      const f = await deployAround(await token.getAddress())
      const [alice, bob] = [f.stranger, f.otherNode]
      const terms = nodeOnly(f.terms)
      // The pool's decisions can be executed by anyone, here by the token: that is what calls back.
      const pool = await deploy<ValidatorPool>('ValidatorPool', [f.home.token, f.home.token, f.home.escrow])
      const poolAddress = await pool.getAddress()
      await f.policy.setNetworkRecipient(poolAddress)
      await token.mint(f.payer, 100n * OPG)
      await token.connect(f.payer).approve(f.home.escrow, 100n * OPG)
      const order = await makeOrder(f, { amount: 100n * OPG })
      await f.escrow.connect(f.payer).openFunded(terms, order)
      await impersonateAccount(f.home.token)
      await setBalance(f.home.token, 10n ** 20n)
      const governance = await ethers.getSigner(f.home.token)
      await pool.connect(governance).setWeights(weights([alice, 1]))
      return { ...f, permit2Errors: base.permit2Errors, token, pool, poolAddress, terms, order, alice, bob }
    }

    it('a decision is executed inside of a call of the escrow, which pays nobody meanwhile: refused', async () => {
      const f = await loadFixture(hostileTokenFixture)
      await settle(f, 50n * OPG, false)
      const change = weights([f.alice, 0], [f.bob, 1])
      await f.token.setCallback(f.poolAddress, f.pool.interface.encodeFunctionData('setWeights', [change]))
      await settle(f, 60n * OPG, true) // pays the node, and the token calls the pool

      expect(await f.token.callbackSucceeded()).to.equal(false)
      expect(await f.token.callbackAnswer()).to.equal(id('EscrowBusy()').slice(0, 10))
      await f.pool.distribute()
      expect(await f.pool.claimable(f.alice)).to.equal((60n * OPG * NETWORK_BPS) / 10_000n)
    })

    it('a token calls back while a validator is paid: it is paid once', async () => {
      const f = await loadFixture(hostileTokenFixture)
      await settle(f, 50n * OPG, false)
      await f.pool.distribute()
      const credit = await f.pool.claimable(f.alice)
      await f.token.setCallback(f.poolAddress, f.pool.interface.encodeFunctionData('claim', [f.alice.address]))
      await f.pool.claim(f.alice)
      expect(await f.token.callbackSucceeded()).to.equal(false)
      expect(await f.token.balanceOf(f.alice)).to.equal(credit)
    })

    it('a token refuses to pay the pool: the credit stays in the escrow until it does', async () => {
      const f = await loadFixture(hostileTokenFixture)
      await settle(f, 50n * OPG, false)
      await f.token.setMood(2, f.poolAddress)
      await expect(f.pool.distribute()).to.emit(f.pool, 'CollectFailed')
      await f.token.setMood(0, ZeroAddress)
      await f.pool.distribute()
      expect(await f.pool.claimable(f.alice)).to.equal((50n * OPG * NETWORK_BPS) / 10_000n)
    })

    it('tokens vanish from the pool: nothing is divided until they are made up for, and claims go on', async () => {
      const f = await loadFixture(poolFixture)
      await f.pool.setWeights(weights([f.alice, 1], [f.bob, 1]))
      await f.token.mint(f.poolAddress, 100n)
      await f.pool.distribute()
      await impersonateAccount(f.poolAddress)
      await setBalance(f.poolAddress, 10n ** 20n)
      await f.token.connect(await ethers.getSigner(f.poolAddress)).transfer(f.carol, 30n)
      expect(await f.pool.undistributed()).to.equal(0n)
      expect(await f.pool.distribute.staticCall()).to.equal(0n)
      await f.pool.claim(f.alice)
      expect(await f.token.balanceOf(f.alice)).to.equal(50n)
    })
  })
})

type EscrowWorld = Pick<Fixture, 'escrow' | 'home' | 'terms' | 'node'> & { readonly order: Order }

/** Settles under the terms of the world, and collects the network's share: by paying the node, which moves tokens, or not. */
async function settle(f: EscrowWorld, cumulativeFee: bigint, claim: boolean): Promise<void> {
  const rows = [settleRow(f.order, cumulativeFee)]
  const evidence = await settlementEvidence(f, f.node, rows)
  await (claim ? f.escrow.settleWithClaim(f.terms, rows, evidence) : f.escrow.settle(f.terms, rows, evidence))
  await f.escrow.collectNetwork([f.node])
}
