import { loadFixture, time } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { Signature, ZeroAddress, ZeroHash, toBeHex } from 'ethers'
import type { ExactWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/ExactWallet'
import type { HostileFeePolicy } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileFeePolicy'
import type { HostileModelRegistry } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileModelRegistry'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import {
  DAY,
  NETWORK_BPS,
  OPG,
  PERMIT2_ADDRESS,
  ROYALTY_BPS,
  deploy,
  deployFixture,
  makeOrder,
  nodeOnly,
  now,
  openOrder,
  orderIdOf,
  signOrder,
  type Terms,
} from '../support/fixture'
import { permitDigest } from '../support/typedData'

const MAX_96 = 2n ** 96n - 1n

describe('open', () => {
  context('when the payer signed the order', () => {
    it('locks the amount and records the order with the shares of the moment', async () => {
      const f = await loadFixture(deployFixture)
      const order = await makeOrder(f)
      const signed = await signOrder(f, f.payer, order)
      const orderId = orderIdOf(f.home, f.terms, order)

      const sent = f.escrow.connect(f.stranger).open(f.terms, signed)
      await expect(sent)
        .to.emit(f.escrow, 'OrderOpened')
        .withArgs(orderId, f.payer.address, f.node.address, order.amount, order.claimBy)
      await expect(sent).to.changeTokenBalances(f.token, [f.payer, f.escrow], [-order.amount, order.amount])

      const state = await f.escrow.orders(orderId)
      expect([...state]).to.deep.equal([order.amount, 0n, 0n, NETWORK_BPS, ROYALTY_BPS, await now(), false])
    })

    it('says whether it opened', async () => {
      const f = await loadFixture(deployFixture)
      const signed = await signOrder(f, f.payer, await makeOrder(f))
      expect(await f.escrow.open.staticCall(f.terms, signed)).to.equal(true)
      await f.escrow.open(f.terms, signed)
      expect(await f.escrow.open.staticCall(f.terms, signed)).to.equal(false)
    })

    for (const amount of [1n, MAX_96]) {
      it(`takes an amount of ${String(amount)}`, async () => {
        const f = await loadFixture(deployFixture)
        await f.token.mint(f.payer.address, MAX_96)
        const { orderId } = await openOrder(f, { amount })
        const state = await f.escrow.orders(orderId)
        expect([state.amount, state.released, state.closed]).to.deep.equal([amount, 0n, false])
        expect(await f.token.balanceOf(f.escrow)).to.equal(amount)
      })
    }

    it('takes orders with nobody but the node to pay, and an unregistered model', async () => {
      const f = await loadFixture(deployFixture)
      const terms: Terms = { ...f.terms, facilitator: ZeroAddress, facilitatorBps: 0n, modelId: toBeHex(7, 32) }
      const { orderId } = await openOrder(f, {}, { terms })
      expect((await f.escrow.orders(orderId)).royaltyBps).to.equal(0n)
    })
  })

  context('when the order is known', () => {
    it('moves nothing for an open order and says so', async () => {
      const f = await loadFixture(deployFixture)
      const signed = await signOrder(f, f.payer, await makeOrder(f))
      await f.escrow.open(f.terms, signed)
      const again = f.escrow.open(f.terms, signed)
      await expect(again).not.to.emit(f.escrow, 'OrderOpened')
      await expect(again).to.changeTokenBalances(f.token, [f.payer, f.escrow], [0n, 0n])
    })

    it('moves nothing for a closed order', async () => {
      const f = await loadFixture(deployFixture)
      const order = await makeOrder(f)
      const signed = await signOrder(f, f.payer, order)
      await f.escrow.open(f.terms, signed)
      await f.escrow.connect(f.node).release(f.terms, order)
      await expect(f.escrow.open(f.terms, signed)).to.changeTokenBalances(f.token, [f.payer, f.escrow], [0n, 0n])
      expect((await f.escrow.orders(orderIdOf(f.home, f.terms, order))).closed).to.equal(true)
    })
  })

  context('when the order cannot be opened', () => {
    it('refuses an amount of zero', async () => {
      const f = await loadFixture(deployFixture)
      const order = await makeOrder(f, { amount: 0n })
      await expect(f.escrow.open(f.terms, await signOrder(f, f.payer, order)))
        .to.be.revertedWithCustomError(f.escrow, 'AmountZero')
        .withArgs(orderIdOf(f.home, f.terms, order))
    })

    it('refuses a payer that is zero or the escrow', async () => {
      const f = await loadFixture(deployFixture)
      for (const payer of [ZeroAddress, f.home.escrow]) {
        const order = await makeOrder(f, { payer })
        await expect(f.escrow.open(f.terms, await signOrder(f, f.payer, order)))
          .to.be.revertedWithCustomError(f.escrow, 'PayerInvalid')
          .withArgs(orderIdOf(f.home, f.terms, order), payer)
      }
    })

    for (const late of [0n, 1n]) {
      it(`refuses it ${String(late)} seconds after claimBy`, async () => {
        const f = await loadFixture(deployFixture)
        const claimBy = (await now()) + 100n
        const order = await makeOrder(f, { claimBy })
        const signed = await signOrder(f, f.payer, order, { deadline: claimBy + DAY })
        await time.setNextBlockTimestamp(claimBy + late)
        await expect(f.escrow.open(f.terms, signed))
          .to.be.revertedWithCustomError(f.escrow, 'OrderExpired')
          .withArgs(orderIdOf(f.home, f.terms, order), claimBy, claimBy + late)
      })
    }

    it('opens one second before claimBy', async () => {
      const f = await loadFixture(deployFixture)
      const claimBy = (await now()) + 100n
      const signed = await signOrder(f, f.payer, await makeOrder(f, { claimBy }))
      await time.setNextBlockTimestamp(claimBy - 1n)
      await expect(f.escrow.open(f.terms, signed)).to.emit(f.escrow, 'OrderOpened')
    })

    for (const beyond of [-1n, 0n]) {
      it(`opens with claimBy ${String(beyond)} seconds beyond 90 days (F10)`, async () => {
        const f = await loadFixture(deployFixture)
        const openedAt = (await now()) + 100n
        const signed = await signOrder(f, f.payer, await makeOrder(f, { claimBy: openedAt + 90n * DAY + beyond }))
        await time.setNextBlockTimestamp(openedAt)
        await expect(f.escrow.open(f.terms, signed)).to.emit(f.escrow, 'OrderOpened')
      })
    }

    it('refuses claimBy one second beyond 90 days (F10)', async () => {
      const f = await loadFixture(deployFixture)
      const openedAt = (await now()) + 100n
      const order = await makeOrder(f, { claimBy: openedAt + 90n * DAY + 1n })
      const signed = await signOrder(f, f.payer, order)
      await time.setNextBlockTimestamp(openedAt)
      await expect(f.escrow.open(f.terms, signed))
        .to.be.revertedWithCustomError(f.escrow, 'ClaimByTooFar')
        .withArgs(orderIdOf(f.home, f.terms, order), order.claimBy, openedAt + 90n * DAY)
    })

    it('refuses a node that is the escrow, or zero where there is no facilitator either', async () => {
      const f = await loadFixture(deployFixture)
      for (const node of [ZeroAddress, f.home.escrow]) {
        const terms = { ...(node === ZeroAddress ? nodeOnly(f.terms) : f.terms), node }
        const signed = await signOrder(f, f.payer, await makeOrder(f), { terms })
        await expect(f.escrow.open(terms, signed)).to.be.revertedWithCustomError(f.escrow, 'NodeInvalid').withArgs(node)
      }
    })

    it('refuses a verifier without code', async () => {
      const f = await loadFixture(deployFixture)
      for (const verifier of [ZeroAddress, f.stranger.address]) {
        const terms = { ...f.terms, verifier }
        const signed = await signOrder(f, f.payer, await makeOrder(f), { terms })
        await expect(f.escrow.open(terms, signed))
          .to.be.revertedWithCustomError(f.escrow, 'VerifierWithoutCode')
          .withArgs(verifier)
      }
    })

    it('takes a facilitator share at its cap and none above (F2)', async () => {
      const f = await loadFixture(deployFixture)
      await openOrder(f, {}, { terms: { ...f.terms, facilitatorBps: 2_000n } })
      const terms = { ...f.terms, facilitatorBps: 2_001n }
      const signed = await signOrder(f, f.payer, await makeOrder(f), { terms })
      await expect(f.escrow.open(terms, signed))
        .to.be.revertedWithCustomError(f.escrow, 'FacilitatorBpsInvalid')
        .withArgs(terms.facilitator, 2_001n, 2_000n)
    })

    it('refuses a facilitator share with nobody named', async () => {
      const f = await loadFixture(deployFixture)
      const terms = { ...f.terms, facilitator: ZeroAddress, facilitatorBps: 1n }
      const signed = await signOrder(f, f.payer, await makeOrder(f), { terms })
      await expect(f.escrow.open(terms, signed))
        .to.be.revertedWithCustomError(f.escrow, 'FacilitatorBpsInvalid')
        .withArgs(ZeroAddress, 1n, 2_000n)
    })

    it('refuses a facilitator share for the escrow itself', async () => {
      const f = await loadFixture(deployFixture)
      const terms = { ...f.terms, facilitator: f.home.escrow }
      const signed = await signOrder(f, f.payer, await makeOrder(f), { terms })
      await expect(f.escrow.open(terms, signed))
        .to.be.revertedWithCustomError(f.escrow, 'FacilitatorBpsInvalid')
        .withArgs(f.home.escrow, terms.facilitatorBps, 2_000n)
    })

    async function deployWithHostileShares() {
      const f = await deployFixture()
      const policy = await deploy<HostileFeePolicy>('HostileFeePolicy')
      const registry = await deploy<HostileModelRegistry>('HostileModelRegistry')
      const escrow = await deploy<InferenceEscrow>('InferenceEscrow', [
        f.home.token,
        PERMIT2_ADDRESS,
        await policy.getAddress(),
        await registry.getAddress(),
      ])
      return { ...f, policy, registry, escrow, home: { ...f.home, escrow: await escrow.getAddress() } }
    }

    it('takes shares of policy and registry at their caps: 5,000 bps together (F2)', async () => {
      const f = await loadFixture(deployWithHostileShares)
      await f.policy.setNetworkBps(1_000)
      await f.escrow.syncNetworkBps()
      await f.registry.setRoyaltyBps(2_000)
      const { orderId } = await openOrder(f, {}, { terms: { ...f.terms, facilitatorBps: 2_000n } })
      const state = await f.escrow.orders(orderId)
      expect([state.networkBps, state.royaltyBps]).to.deep.equal([1_000n, 2_000n])
    })

    it('moves nothing for an order that is open, whatever the policy does by then', async () => {
      const f = await loadFixture(deployWithHostileShares)
      const signed = await signOrder(f, f.payer, await makeOrder(f))
      await f.escrow.open(f.terms, signed)
      await f.policy.setReverts(true)
      expect(await f.escrow.open.staticCall(f.terms, signed)).to.equal(false)
      expect(await f.escrow.openFunded.staticCall(f.terms, signed.order)).to.equal(false)
    })

    for (const royaltyBps of [2_001, 65_535]) {
      it(`refuses a registry that asks ${String(royaltyBps)} bps (F2)`, async () => {
        const f = await loadFixture(deployWithHostileShares)
        await f.registry.setRoyaltyBps(royaltyBps)
        const signed = await signOrder(f, f.payer, await makeOrder(f))
        await expect(f.escrow.open(f.terms, signed))
          .to.be.revertedWithCustomError(f.escrow, 'RoyaltyBpsTooHigh')
          .withArgs(f.terms.modelId, royaltyBps, 2_000)
      })
    }

    for (const networkBps of [1_001, 65_535]) {
      it(`takes no share from a policy that asks ${String(networkBps)} bps: orders open at the last one (F2)`, async () => {
        const f = await loadFixture(deployWithHostileShares)
        await f.policy.setNetworkBps(1_000)
        await f.escrow.syncNetworkBps()
        await f.policy.setNetworkBps(networkBps)
        await expect(f.escrow.syncNetworkBps())
          .to.be.revertedWithCustomError(f.escrow, 'NetworkBpsTooHigh')
          .withArgs(networkBps, 1_000)
        const { orderId } = await openOrder(f)
        expect((await f.escrow.orders(orderId)).networkBps).to.equal(1_000n)
      })
    }

    it("passes Permit2's own error on: a signature past its deadline", async () => {
      const f = await loadFixture(deployFixture)
      const deadline = (await now()) - 1n
      const signed = await signOrder(f, f.payer, await makeOrder(f), { deadline })
      await expect(f.escrow.open(f.terms, signed))
        .to.be.revertedWithCustomError(f.permit2Errors, 'SignatureExpired')
        .withArgs(deadline)
    })

    it("opens at the signature's deadline to the second", async () => {
      const f = await loadFixture(deployFixture)
      const deadline = (await now()) + 100n
      const signed = await signOrder(f, f.payer, await makeOrder(f), { deadline })
      await time.setNextBlockTimestamp(deadline)
      await expect(f.escrow.open(f.terms, signed)).to.emit(f.escrow, 'OrderOpened')
    })

    it("passes Permit2's own error on: somebody else's signature", async () => {
      const f = await loadFixture(deployFixture)
      const signed = await signOrder(f, f.stranger, await makeOrder(f))
      await expect(f.escrow.open(f.terms, signed)).to.be.revertedWithCustomError(f.permit2Errors, 'InvalidSigner')
    })

    it("passes Permit2's own error on: a nonce that was used", async () => {
      const f = await loadFixture(deployFixture)
      const { order } = await openOrder(f)
      const signed = await signOrder(f, f.payer, { ...order, amount: OPG })
      await expect(f.escrow.open(f.terms, signed)).to.be.revertedWithCustomError(f.permit2Errors, 'InvalidNonce')
    })

    it('refuses a payer without the money, and opens nothing', async () => {
      const f = await loadFixture(deployFixture)
      const order = await makeOrder(f, { amount: 2_000_000n * OPG })
      await expect(f.escrow.open(f.terms, await signOrder(f, f.payer, order))).to.be.revertedWith(
        'TRANSFER_FROM_FAILED',
      )
      expect((await f.escrow.orders(orderIdOf(f.home, f.terms, order))).openedAt).to.equal(0n)
    })
  })

  context('when the signature has another form', () => {
    it('takes the compact form of 64 bytes', async () => {
      const f = await loadFixture(deployFixture)
      const signed = await signOrder(f, f.payer, await makeOrder(f))
      const signature = Signature.from(signed.signature).compactSerialized
      await expect(f.escrow.open(f.terms, { ...signed, signature })).to.emit(f.escrow, 'OrderOpened')
    })

    for (const length of [0, 1, 31, 32, 33, 64, 65, 66, 500]) {
      it(`hands ${String(length)} bytes to the payer's ERC-1271 wallet unchanged`, async () => {
        const f = await loadFixture(deployFixture)
        const wallet = await deploy<ExactWallet>('ExactWallet', [f.home.token, PERMIT2_ADDRESS])
        const payer = await wallet.getAddress()
        await f.token.mint(payer, 10n * OPG)
        const order = await makeOrder(f, { payer, nonce: 2n ** 255n + 7n })
        const signature = length === 0 ? '0x' : toBeHex(2n ** BigInt(8 * length) - 2n, length)
        await wallet.expectSignature(permitDigest(f.home, f.terms, order, order.claimBy), signature)

        await expect(f.escrow.open(f.terms, { order, deadline: order.claimBy, signature }))
          .to.emit(f.escrow, 'OrderOpened')
          .withArgs(orderIdOf(f.home, f.terms, order), payer, f.node.address, order.amount, order.claimBy)
      })
    }
  })

  context('when the order is for one request', () => {
    it('opens it like any other', async () => {
      const f = await loadFixture(deployFixture)
      const { orderId } = await openOrder(f, { job: { requester: f.payer.address, requestHash: toBeHex(1, 32) } })
      expect(orderId).not.to.equal(ZeroHash)
      expect((await f.escrow.orders(orderId)).openedAt).to.equal(await now())
    })
  })
})
