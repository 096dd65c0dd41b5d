import { WrongChainError } from '@opg/operator'
import { generateKeyPairSync } from 'node:crypto'
import { ZERO_BYTES32 } from '@opg/protocol'
import { keccak256 } from 'ethers'
import { OrderNotReleasableError } from '../../src/errors.js'
import { rsaPssSigner } from '../../src/receipts/rsaPssSigner.js'
import type { NodeOptions } from '../../src/service/openNode.js'
import { setUpNode } from '../support/fixture.js'
import { describe, expect, it } from 'vitest'

const FOREVER = { signal: new AbortController().signal }

describe('what the settler pays out', () => {
  const t = setUpNode({ isolated: true })

  describe('evidence of an enclave', () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const signer = rsaPssSigner(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    const teeId = signer.evidenceKey

    function teeOptions(): Partial<NodeOptions> {
      const address = t.world.devnet.deployment.teeReceiptVerifier ?? '0x'
      return { verifiers: [{ kind: 'tee', address, signer }] }
    }

    async function register(): Promise<void> {
      const der = publicKey.export({ type: 'spki', format: 'der' })
      expect(keccak256(der)).toBe(teeId)
      const registry = t.world.devnet.contracts.teeRegistry.connect(t.world.node)
      await (await registry.register(der, t.world.node.address, 'https://t.node.example', 0)).wait()
    }

    it.each(['teeId', 'owner'])('releases the fee of orders that name it by %s', async (form) => {
      await register()
      await t.withNode(teeOptions(), async (tee) => {
        const evidenceKey =
          form === 'teeId' ? teeId : (`0x${t.world.node.address.slice(2).toLowerCase().padStart(64, '0')}` as const)
        const verifier = t.world.devnet.deployment.teeReceiptVerifier ?? ZERO_BYTES32
        const order = await t.used(2, { at: tee, terms: { verifier, evidenceKey } })
        const [signed] = await tee.store.receipts(order.orderId, { from: 0n, limit: 1 })
        expect(signed?.signer).toEqual({ kind: 'rsa-pss', teeId })
        await tee.settler.settleAll(FOREVER)
        expect((await t.chainState(order)).released).toBe(30n)
      })
    })

    it('is not sent while the enclave is disabled, and goes when it is enabled again', async () => {
      await register()
      await t.withNode(teeOptions(), async (tee) => {
        const verifier = t.world.devnet.deployment.teeReceiptVerifier ?? ZERO_BYTES32
        const order = await t.used(1, { at: tee, terms: { verifier, evidenceKey: teeId } })
        await (await t.world.devnet.contracts.teeRegistry.connect(t.world.node).disableTEE(teeId)).wait()
        expect(await tee.settler.settleOnce({ force: true })).toMatchObject({ submitted: [], pending: 0 })
        await (await t.world.devnet.contracts.teeRegistry.connect(t.world.node).enableTEE(teeId)).wait()
        await tee.settler.settleAll(FOREVER)
        expect((await t.chainState(order)).released).toBe(15n)
      })
    })

    it('keeps a node from starting with an enclave that the registry does not enable', async () => {
      await expect(t.world.openNode(teeOptions())).rejects.toBeInstanceOf(WrongChainError)
    })
  })

  describe('being paid', () => {
    it('claims the credit once, and nothing where there is none', async () => {
      await t.used(2)
      await t.node.settler.settleAll(FOREVER)
      const { token } = t.world.devnet.contracts
      expect((await t.node.status()).credits).toBe(29n) // 30 less the network's 5 %
      expect(await t.node.settler.claim({ threshold: 30n })).toBeUndefined()
      await t.node.settler.claim()
      expect(await token.balanceOf(t.world.node.address)).toBe(29n)
      expect(await t.node.settler.claim()).toBeUndefined()
      expect((await t.node.status()).pendingTransactions).toBe(0)
    })

    it('claims along with a settlement from the threshold on', async () => {
      await t.withNode({ settle: { claimThreshold: 29n } }, async (keen) => {
        const { token } = t.world.devnet.contracts
        await t.used(1, { at: keen })
        await keen.settler.settleAll(FOREVER)
        expect(await token.balanceOf(t.world.node.address)).toBe(0n)
        await t.used(1, { at: keen })
        await keen.settler.settleAll(FOREVER)
        expect(await token.balanceOf(t.world.node.address)).toBeGreaterThanOrEqual(28n)
        expect((await keen.status()).credits).toBe(0n)
      })
    })

    it('gives an order back without evidence, and never with unsettled fees unless told to (F6)', async () => {
      const order = await t.used(1)
      await expect(t.node.settler.release(order.orderId)).rejects.toBeInstanceOf(OrderNotReleasableError)
      await t.node.settler.settleAll(FOREVER)
      await t.node.settler.release(order.orderId)
      expect((await t.chainState(order)).closed).toBe(true)
      expect(await t.node.store.order(order.orderId)).toMatchObject({ chain: 'closed', released: 15n, inFlight: false })
      const lost = await t.used(1)
      await t.node.settler.release(lost.orderId, { forgoFees: true })
      expect((await t.chainState(lost)).closed).toBe(true)
      expect((await t.node.store.order(lost.orderId))?.released).toBe(0n)
    })
  })
})
