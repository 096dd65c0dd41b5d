import { loadFixture, setCode, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { TypedDataEncoder, ZeroHash, concat, id } from 'ethers'
import type { ExactWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/ExactWallet'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import {
  OPG,
  PERMIT2_ADDRESS,
  deploy,
  deployFixture,
  escrowDomain,
  makeOrder,
  now,
  openOrder,
  orderIdOf,
  type Fixture,
  type Terms,
} from '../support/fixture'
import {
  ALLOCATION_TYPES,
  allocate,
  allocationIdOf,
  openRouted,
  plan,
  routedFixture,
  settleSlices,
  signAllocation,
  sliceNodes,
  type Plan,
  type RoutedFixture,
} from '../support/routed'

const MAX_96 = 2n ** 96n - 1n
const HostileMood = { Signs: 0, Refuses: 1, BurnsGas: 2, ReturnBomb: 3, RevertBomb: 4, ShortAnswer: 5, DirtyAnswer: 6 }

describe('allocate', () => {
  /** Everything of an allocation that a stranger could see changed. */
  async function stateOf(f: Fixture, planned: Plan): Promise<unknown[]> {
    const state = await f.escrow.orders(planned.orderId)
    return [...state, ...(await f.escrow.unsettledSlices(planned.allocationId))]
  }

  async function expectAllocated(f: RoutedFixture, planned: Plan, reserved: bigint): Promise<void> {
    expect([...(await f.escrow.unsettledSlices(planned.allocationId))]).to.deep.equal([
      true,
      (1n << BigInt(planned.allocation.count)) - 1n,
    ])
    expect((await f.escrow.orders(planned.orderId)).reserved).to.equal(reserved)
  }

  context('when the facilitator calls', () => {
    it('reserves the slices, and moves no money', async () => {
      const f = await loadFixture(routedFixture)
      const planned = plan(f, f.order, { cap: 2n * OPG })
      const { root, count, cap, series } = planned.allocation
      const escrow = f.escrow.connect(f.facilitator)
      expect(await escrow.allocate.staticCall(f.terms, f.order, planned.allocation, '0x')).to.equal(true)
      const sent = escrow.allocate(f.terms, f.order, planned.allocation, '0x')
      await expect(sent)
        .to.emit(f.escrow, 'SlicesAllocated')
        .withArgs(f.orderId, planned.allocationId, root, count, cap, series)
      await expect(sent).to.changeTokenBalance(f.token, f.escrow, 0n)
      await expectAllocated(f, planned, 6n * OPG)
      const state = await f.escrow.orders(f.orderId)
      expect([state.amount, state.released, state.closed]).to.deep.equal([10n * OPG, 0n, false])
    })

    it('knows the id before, and commits to every member and to the order', async () => {
      const f = await loadFixture(routedFixture)
      const { allocation, allocationId } = plan(f, f.order, { cap: OPG })
      expect(await f.escrow.allocationId(f.terms, f.order, allocation)).to.equal(allocationId)
      const other = await makeOrder(f)
      const ids = [
        allocationId,
        await f.escrow.allocationId(f.terms, other, allocation),
        await f.escrow.allocationId({ ...f.terms, modelId: ZeroHash }, f.order, allocation),
      ]
      for (const altered of [
        { ...allocation, root: id('another') },
        { ...allocation, count: 4 },
        { ...allocation, cap: OPG + 1n },
        { ...allocation, series: allocation.series + 1n },
      ]) {
        ids.push(await f.escrow.allocationId(f.terms, f.order, altered))
        expect(ids.at(-1)).to.equal(allocationIdOf(f.orderId, altered))
      }
      expect(new Set(ids).size).to.equal(ids.length)
      expect([...(await f.escrow.unsettledSlices(allocationId))]).to.deep.equal([false, 0n])
    })

    for (const count of [1, 2, 254, 255]) {
      it(`takes ${String(count)} slices`, async () => {
        const f = await loadFixture(routedFixture)
        const planned = await allocate(f, f.order, { cap: 3n, count })
        await expectAllocated(f, planned, 3n * BigInt(count))
      })
    }

    it('takes exactly what is free, and nothing more after that', async () => {
      const f = await loadFixture(routedFixture)
      await allocate(f, f.order, { cap: 3n * OPG })
      const all = await allocate(f, f.order, { cap: OPG, count: 1 })
      await expectAllocated(f, all, 10n * OPG)
      const one = plan(f, f.order, { cap: 1n, count: 1 })
      await expect(f.escrow.connect(f.facilitator).allocate(f.terms, f.order, one.allocation, '0x'))
        .to.be.revertedWithCustomError(f.escrow, 'AllocationTooLarge')
        .withArgs(f.orderId, 1n, 0n)
    })

    for (const [amount, count, cap] of [
      [10n * OPG, 1, 10n * OPG + 1n],
      [10n * OPG, 3, (10n * OPG) / 3n + 1n],
      [10n * OPG, 255, MAX_96],
      [10n * OPG, 2, 2n ** 95n], // whose sum has 97 bits
      [MAX_96, 2, 2n ** 95n], // one unit more than the greatest order
      [1n, 2, 1n],
    ] as const) {
      it(`refuses ${String(count)} slices of ${String(cap)} in an order of ${String(amount)} (E2)`, async () => {
        const f = await loadFixture(routedFixture)
        await f.token.mint(f.payer, MAX_96)
        const { order, orderId } = await openRouted(f, { amount })
        const { allocation } = plan(f, order, { cap, count })
        await expect(f.escrow.connect(f.facilitator).allocate(f.terms, order, allocation, '0x'))
          .to.be.revertedWithCustomError(f.escrow, 'AllocationTooLarge')
          .withArgs(orderId, BigInt(count) * cap, amount)
      })
    }

    for (const [amount, count, cap] of [
      [MAX_96, 1, MAX_96],
      [MAX_96, 255, MAX_96 / 255n],
      [1n, 1, 1n],
    ] as const) {
      it(`takes ${String(count)} slices of ${String(cap)} in an order of ${String(amount)}`, async () => {
        const f = await loadFixture(routedFixture)
        await f.token.mint(f.payer, MAX_96)
        const { order } = await openRouted(f, { amount })
        await expectAllocated(f, await allocate(f, order, { cap, count }), BigInt(count) * cap)
      })
    }

    it('refuses no slices, and slices of nothing', async () => {
      const f = await loadFixture(routedFixture)
      const planned = plan(f, f.order, { cap: OPG })
      for (const empty of [
        { ...planned.allocation, count: 0 },
        { ...planned.allocation, cap: 0n },
        { ...planned.allocation, cap: 0n, count: 0 },
      ]) {
        await expect(f.escrow.connect(f.facilitator).allocate(f.terms, f.order, empty, '0x'))
          .to.be.revertedWithCustomError(f.escrow, 'AllocationEmpty')
          .withArgs(allocationIdOf(f.orderId, empty), empty.count, empty.cap)
      }
    })

    it('has room again for what settled slices left', async () => {
      const f = await loadFixture(routedFixture)
      const first = await allocate(f, f.order, { cap: 5n * OPG, count: 2 })
      await settleSlices(f, first, [
        { index: 0, fee: OPG },
        { index: 1, fee: 0n },
      ])
      await expectAllocated(f, await allocate(f, f.order, { cap: 3n * OPG, count: 3 }), 9n * OPG)
      const { allocation } = plan(f, f.order, { cap: 1n, count: 1 })
      await expect(f.escrow.connect(f.facilitator).allocate(f.terms, f.order, allocation, '0x'))
        .to.be.revertedWithCustomError(f.escrow, 'AllocationTooLarge')
        .withArgs(f.orderId, 1n, 0n)
    })

    it('keeps two allocations with one tree apart by their series', async () => {
      const f = await loadFixture(routedFixture)
      const first = await allocate(f, f.order, { cap: OPG, series: 0n })
      const second = await allocate(f, f.order, { cap: OPG, series: 2n ** 64n - 1n })
      expect(first.allocation.root).to.equal(second.allocation.root)
      await settleSlices(f, first, [{ index: 1, fee: OPG }])
      expect((await f.escrow.unsettledSlices(first.allocationId)).bitmap).to.equal(0b101n)
      expect((await f.escrow.unsettledSlices(second.allocationId)).bitmap).to.equal(0b111n)
    })
  })

  context('when somebody relays the signature', () => {
    it("takes the facilitator's ECDSA signature from anyone", async () => {
      const f = await loadFixture(routedFixture)
      const planned = plan(f, f.order, { cap: OPG })
      const signature = await signAllocation(f, f.facilitator, planned)
      await expect(f.escrow.connect(f.stranger).allocate(f.terms, f.order, planned.allocation, signature)).to.emit(
        f.escrow,
        'SlicesAllocated',
      )
      await expectAllocated(f, planned, 3n * OPG)
    })

    it('refuses every other signature, and none (E10)', async () => {
      const f = await loadFixture(routedFixture)
      const planned = plan(f, f.order, { cap: OPG })
      const elsewhere = { home: { ...f.home, escrow: f.home.token } }
      const other = await openRouted(f)
      const signatures = [
        '0x',
        await signAllocation(f, f.stranger, planned),
        await signAllocation(f, f.payer, planned),
        await signAllocation(f, f.facilitator, plan(f, other.order, planned.allocation)),
        await signAllocation(f, f.facilitator, {
          orderId: planned.orderId,
          allocation: { ...planned.allocation, cap: OPG - 1n },
        }),
        await signAllocation(elsewhere, f.facilitator, planned),
        await signAllocation(f, f.facilitator, planned, { chainId: 1n }),
        concat([await signAllocation(f, f.facilitator, planned), '0x00']),
      ]
      for (const caller of [f.stranger, f.payer]) {
        for (const signature of signatures) {
          await expect(f.escrow.connect(caller).allocate(f.terms, f.order, planned.allocation, signature))
            .to.be.revertedWithCustomError(f.escrow, 'NotFacilitator')
            .withArgs(f.facilitator.address, caller.address)
        }
      }
      expect((await f.escrow.orders(f.orderId)).reserved).to.equal(0n)
    })

    it("another order's or another escrow's allocation replayed: it reserves nothing here (E5)", async () => {
      const f = await loadFixture(routedFixture)
      const planned = plan(f, f.order, { cap: OPG })
      const signature = await signAllocation(f, f.facilitator, planned)
      const other = await openRouted(f)
      await expect(
        f.escrow.connect(f.stranger).allocate(f.terms, other.order, planned.allocation, signature),
      ).to.be.revertedWithCustomError(f.escrow, 'NotFacilitator')
      expect((await f.escrow.orders(other.orderId)).reserved).to.equal(0n)
    })

    async function walletFixture() {
      const f = await routedFixture()
      const wallet = await deploy<ExactWallet>('ExactWallet', [f.home.token, PERMIT2_ADDRESS])
      const terms: Terms = { ...f.terms, facilitator: await wallet.getAddress() }
      const world = { ...f, terms, wallet }
      return { ...world, ...(await openRouted(world)) }
    }

    it("takes what the facilitator's ERC-1271 wallet takes, of any length, and nothing else", async () => {
      const f = await loadFixture(walletFixture)
      for (const signature of ['0x', '0x12', `0x${'ab'.repeat(65)}`, `0x${'cd'.repeat(700)}`]) {
        const planned = plan(f, f.order, { cap: OPG / 10n })
        const digest = TypedDataEncoder.hash(escrowDomain(f.home), ALLOCATION_TYPES, {
          orderId: planned.orderId,
          ...planned.allocation,
        })
        await f.wallet.expectSignature(digest, signature)
        const relayed = f.escrow.connect(f.stranger)
        await expect(
          relayed.allocate(f.terms, f.order, planned.allocation, concat([signature, '0x00'])),
        ).to.be.revertedWithCustomError(f.escrow, 'NotFacilitator')
        await expect(relayed.allocate(f.terms, f.order, planned.allocation, signature)).to.emit(
          f.escrow,
          'SlicesAllocated',
        )
      }
    })

    it('takes the key of a facilitator with code of its own (EIP-7702)', async () => {
      const f = await loadFixture(routedFixture)
      await setCode(f.facilitator.address, concat(['0xef0100', f.home.token])) // which signs for nobody
      const planned = plan(f, f.order, { cap: OPG })
      await expect(
        f.escrow.connect(f.stranger).allocate(f.terms, f.order, planned.allocation, '0x'),
      ).to.be.revertedWithCustomError(f.escrow, 'NotFacilitator')
      const signature = await signAllocation(f, f.facilitator, planned)
      await expect(f.escrow.connect(f.stranger).allocate(f.terms, f.order, planned.allocation, signature)).to.emit(
        f.escrow,
        'SlicesAllocated',
      )
      // By itself it needs no signature, code or not.
      const second = plan(f, f.order, { cap: OPG })
      await expect(f.escrow.connect(f.facilitator).allocate(f.terms, f.order, second.allocation, '0x')).to.emit(
        f.escrow,
        'SlicesAllocated',
      )
    })

    for (const mood of ['Refuses', 'BurnsGas', 'RevertBomb', 'ShortAnswer', 'DirtyAnswer'] as const) {
      it(`facilitator's wallet answers with ${mood}: nothing is reserved`, async () => {
        const f = await loadFixture(routedFixture)
        const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS])
        await wallet.setMood(HostileMood[mood])
        const world = { ...f, terms: { ...f.terms, facilitator: await wallet.getAddress() } }
        const { order, orderId } = await openRouted(world)
        const { allocation } = plan(world, order, { cap: OPG })
        const relayed = f.escrow.connect(f.stranger)
        await expect(
          relayed.allocate(world.terms, order, allocation, '0x1234', { gasLimit: 300_000n }),
        ).to.be.revertedWithCustomError(f.escrow, 'NotFacilitator')
        expect((await f.escrow.orders(orderId)).reserved).to.equal(0n)
      })
    }
  })

  context('when the allocation is known', () => {
    it('changes nothing and says so, whoever calls, even after its slices were settled or the order closed (E5)', async () => {
      const f = await loadFixture(routedFixture)
      const planned = plan(f, f.order, { cap: 2n * OPG })
      const signature = await signAllocation(f, f.facilitator, planned)
      const callers = [f.escrow.connect(f.facilitator), f.escrow.connect(f.stranger)] as const
      const expectReplayed = async () => {
        const before = await stateOf(f, planned)
        for (const escrow of callers) {
          expect(await escrow.allocate.staticCall(f.terms, f.order, planned.allocation, signature)).to.equal(false)
          const sent = escrow.allocate(f.terms, f.order, planned.allocation, signature)
          await expect(sent).not.to.emit(f.escrow, 'SlicesAllocated')
          expect(await stateOf(f, planned)).to.deep.equal(before)
        }
      }
      await callers[1].allocate(f.terms, f.order, planned.allocation, signature)
      await expectReplayed()
      await settleSlices(f, planned, [{ index: 0, fee: OPG }])
      await expectReplayed()
      await settleSlices(f, planned, [
        { index: 1, fee: OPG },
        { index: 2, fee: 0n },
      ])
      await expectReplayed()
      await callers[0].release(f.terms, f.order)
      await expectReplayed()
    })
  })

  context('when the order cannot be divided', () => {
    it('refuses one that is unknown, and one that is closed', async () => {
      const f = await loadFixture(routedFixture)
      const escrow = f.escrow.connect(f.facilitator)
      const unknown = await makeOrder(f)
      const { allocation } = plan(f, unknown, { cap: OPG })
      await expect(escrow.allocate(f.terms, unknown, allocation, '0x'))
        .to.be.revertedWithCustomError(f.escrow, 'OrderUnknown')
        .withArgs(orderIdOf(f.home, f.terms, unknown))
      await escrow.release(f.terms, f.order)
      await expect(escrow.allocate(f.terms, f.order, allocation, '0x'))
        .to.be.revertedWithCustomError(f.escrow, 'OrderClosed')
        .withArgs(f.orderId)
    })

    it('refuses one that names a node (E2)', async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      const { allocation } = plan(f, order, { cap: OPG })
      await expect(f.escrow.connect(f.facilitator).allocate(f.terms, order, allocation, '0x'))
        .to.be.revertedWithCustomError(f.escrow, 'OrderNotRouted')
        .withArgs(f.node.address)
    })

    it('allocates one second before claimBy, and not from then on', async () => {
      const f = await loadFixture(routedFixture)
      const claimBy = (await now()) + 1_000n
      const { order, orderId } = await openRouted(f, { claimBy })
      const escrow = f.escrow.connect(f.facilitator)
      const [first, later] = [plan(f, order, { cap: OPG }), plan(f, order, { cap: OPG })]
      await time.setNextBlockTimestamp(claimBy - 1n)
      await expect(escrow.allocate(f.terms, order, first.allocation, '0x')).to.emit(f.escrow, 'SlicesAllocated')
      for (const after of [0n, 1n]) {
        await time.setNextBlockTimestamp(claimBy + after)
        await expect(escrow.allocate(f.terms, order, later.allocation, '0x'))
          .to.be.revertedWithCustomError(f.escrow, 'OrderExpired')
          .withArgs(orderId, claimBy, claimBy + after)
      }
    })

    it('refuses terms that name the caller as facilitator: such an order was never opened (E9)', async () => {
      const f = await loadFixture(routedFixture)
      const terms = { ...f.terms, facilitator: f.stranger.address }
      const { allocation } = plan(f, f.order, { cap: OPG })
      await expect(
        f.escrow.connect(f.stranger).allocate(terms, f.order, allocation, '0x'),
      ).to.be.revertedWithCustomError(f.escrow, 'OrderUnknown')
    })
  })

  it('slices hold the money from everyone but their nodes: no caller gets at it before claimBy (E2)', async () => {
    const f = await loadFixture(routedFixture)
    const signers = sliceNodes(2)
    const planned = await allocate(f, f.order, { cap: 5n * OPG, signers })
    for (const caller of [f.payer, f.facilitator, f.network, f.modelOwner, f.stranger, f.deployer]) {
      const escrow = f.escrow.connect(caller)
      await expect(escrow.reclaim(f.terms, f.order)).to.be.revertedWithCustomError(f.escrow, 'OrderNotExpired')
      const routes = caller === f.facilitator
      await expect(escrow.release(f.terms, f.order)).to.be.revertedWithCustomError(
        f.escrow,
        routes ? 'SlicesReserved' : 'NotFacilitator',
      )
      const { allocation } = plan(f, f.order, { cap: 1n, count: 1 })
      await expect(escrow.allocate(f.terms, f.order, allocation, '0x')).to.be.revertedWithCustomError(
        f.escrow,
        'AllocationTooLarge',
      )
      await expect(escrow.claimTo(caller)).to.changeTokenBalance(f.token, f.escrow, 0n)
    }
    await settleSlices(f, planned, [
      { index: 0, fee: 5n * OPG },
      { index: 1, fee: 5n * OPG },
    ])
    for (const { address } of signers) expect(await f.token.balanceOf(address)).to.equal((5n * OPG * 92n) / 100n)
  })
})
