import { generateKeyPairSync } from 'node:crypto'
import { type Hex, ZERO_BYTES32, receiptLeaf, requestHash } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { ecdsaSigner } from '../../src/receipts/ecdsaSigner.js'
import { rsaPssSigner } from '../../src/receipts/rsaPssSigner.js'
import type { VerifierOptions } from '../../src/service/acceptVerifier.js'
import { outcomeOf, setUpNode } from '../support/fixture.js'
import { BODY, type OpenOrder, PATH, orderInput } from '../support/world.js'

const FOREVER = { signal: new AbortController().signal }

function createEnclave() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const signer = rsaPssSigner(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
  return { signer, teeId: signer.evidenceKey, der: publicKey.export({ type: 'spki', format: 'der' }) }
}

describe('an enclave whose key is gone (N4, F7)', () => {
  const t = setUpNode({ isolated: true })
  const [enclave, successor] = [createEnclave(), createEnclave()]

  const address = (): Hex => t.world.devnet.deployment.teeReceiptVerifier ?? ZERO_BYTES32
  const living = ({ signer }: typeof enclave): VerifierOptions => ({ kind: 'tee', address: address(), signer })
  const lost = ({ teeId }: typeof enclave): VerifierOptions => ({ kind: 'lost-tee', address: address(), teeId })
  const ownerKey = (): Hex => `0x${t.world.node.address.slice(2).toLowerCase().padStart(64, '0')}`

  async function register({ der }: typeof enclave): Promise<void> {
    const registry = t.world.devnet.contracts.teeRegistry.connect(t.world.node)
    await (await registry.register(der, t.world.node.address, 'https://t.node.example', 0)).wait()
  }
  /** Books of orders that were served while the key was there. */
  async function served(
    counts: readonly number[],
    input: { readonly evidenceKey?: Hex; readonly order?: Partial<OpenOrder['order']> } = {},
  ): Promise<{ readonly databasePath: string; readonly orders: readonly OpenOrder[] }> {
    await register(enclave)
    const databasePath = t.world.freshBooks()
    const orders: OpenOrder[] = []
    await t.withNode({ databasePath, verifiers: [living(enclave)] }, async (node) => {
      const terms = { verifier: address(), evidenceKey: input.evidenceKey ?? enclave.teeId }
      for (const count of counts) {
        orders.push(
          await t.used(count, { at: node, terms, ...(input.order === undefined ? {} : { order: input.order }) }),
        )
      }
    })
    return { databasePath, orders }
  }

  it('what it answered is settled on chain by its last receipts, and once', async () => {
    const { databasePath, orders } = await served([1, 3, 2])
    await t.withNode({ databasePath, verifiers: [lost(enclave)] }, async (node) => {
      const report = await node.settler.settleOnce({ force: true })
      expect(report).toMatchObject({ submitted: [{ settlements: { length: 3 } }] })
      await node.settler.settleAll(FOREVER)
      for (const [i, order] of orders.entries()) {
        expect(await t.chainState(order)).toEqual({ released: [15n, 45n, 30n][i], closed: false })
        expect(await t.settledEvents(order)).toBe(1)
      }
      expect(await node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [] })
      const { escrow } = t.world.devnet.contracts
      const [event] = await escrow.queryFilter(escrow.filters.OrderSettled(orders[1]?.orderId))
      const receipts = await node.store.receipts(orders[1]?.orderId ?? '0x', { from: 0n, limit: 9 })
      const leaf = receipts.map(({ receipt }) => receiptLeaf(receipt)).at(-1)
      expect([event?.args.receiptsRoot, event?.args.receiptCount]).toEqual([leaf, 3n])
    })
  })

  it('nothing new is admitted under it, and stored answers are given all the same', async () => {
    const { databasePath, orders } = await served([0])
    const [order] = orders
    if (order === undefined) throw new TypeError('no order')
    const call = t.world.call(order, { index: 0n })
    await t.withNode({ databasePath, verifiers: [living(enclave)] }, async (node) => {
      expect(outcomeOf(await node.service.serve(call))).toBe('served')
    })
    await t.withNode({ databasePath, verifiers: [lost(enclave)] }, async (node) => {
      expect(outcomeOf(await node.service.serve(call))).toBe('replayed')
      expect(await t.serve(order, { index: 1n }, node)).toBe('wrong-evidence-key')
      const fresh = await t.world.open({ terms: { verifier: address(), evidenceKey: enclave.teeId } })
      expect(await node.service.admitOrder(orderInput(fresh))).toMatchObject({ status: 'refused' })
    })
  })

  it('closes what its payer asks to close: settled by the last receipt, then released', async () => {
    const { databasePath, orders } = await served([2])
    const [order] = orders
    if (order === undefined) throw new TypeError('no order')
    await t.withNode({ databasePath, verifiers: [lost(enclave)] }, async (node) => {
      const { token } = t.world.devnet.contracts
      const before = await token.balanceOf(t.world.payer.address)
      await node.service.requestClose(t.world.signClose(order))
      await node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).closed).toBe(true)
      expect((await token.balanceOf(t.world.payer.address)) - before).toBe(970n)
      expect(await node.store.order(order.orderId)).toMatchObject({ chain: 'closed', released: 30n, inFlight: false })
    })
  })

  it('near claimBy it settles, and leaves the close to the payer', async () => {
    const { databasePath, orders } = await served([1])
    const [order] = orders
    if (order === undefined) throw new TypeError('no order')
    await t.withNode({ databasePath, verifiers: [lost(enclave)] }, async (node) => {
      await t.world.devnet.increaseTime(order.order.claimBy - (await t.world.devnet.now()) - 500)
      await node.settler.settleAll(FOREVER)
      expect(await t.chainState(order)).toEqual({ released: 15n, closed: false })
      expect(await node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [] })
    })
  })

  it('an order for one request cannot be settled by its last receipt, and nothing is sent for it', async () => {
    const pinned = requestHash(PATH, new TextEncoder().encode(BODY))
    const job = { requester: t.world.requester.address as Hex, requestHash: pinned }
    const { databasePath, orders } = await served([1], { order: { job } })
    await t.withNode({ databasePath, verifiers: [lost(enclave)] }, async (node) => {
      expect(await node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [], pending: 0 })
      expect(await node.store.order(orders[0]?.orderId ?? '0x')).toMatchObject({ cumulativeFee: 15n, chain: 'open' })
    })
  })

  it('another enclave of the node takes over orders that name their owner', async () => {
    const { databasePath, orders } = await served([2], { evidenceKey: ownerKey() })
    const [order] = orders
    if (order === undefined) throw new TypeError('no order')
    await register(successor)
    const verifiers = [living(successor), lost(enclave)]
    await t.withNode({ databasePath, verifiers }, async (node) => {
      expect(await t.serve(order, { index: 7n }, node)).toBe('served')
      await node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).released).toBe(45n)
    })
  })

  it('a slice that names the owner is settled by another enclave of it, and one that names the lost one by none', async () => {
    await register(enclave)
    await register(successor)
    const databasePath = t.world.freshBooks()
    const node = t.world.node.address as Hex
    const holders = [
      { node, evidenceKey: ownerKey() },
      { node, evidenceKey: enclave.teeId },
    ]
    const slices = await t.world.openSlices({ holders, terms: { verifier: address() } })
    await t.withNode({ databasePath, verifiers: [living(enclave)] }, async (first) => {
      for (const slice of slices) {
        expect(await first.service.admitOrder(orderInput(slice))).toMatchObject({ status: 'admitted' })
        expect(await t.serve(slice, { index: 0n }, first)).toBe('served')
        await first.service.requestClose(t.world.signClose(slice))
      }
    })
    await t.withNode({ databasePath, verifiers: [living(successor), lost(enclave)] }, async (second) => {
      await second.settler.settleAll(FOREVER)
      expect(await Promise.all(slices.map(t.settledEvents))).toEqual([1, 0])
      expect(await second.store.order(slices[1]?.orderId ?? '0x')).toMatchObject({ chain: 'open', cumulativeFee: 15n })
    })
  })

  it('waits while the enclave is disabled, and goes when it is enabled again', async () => {
    const { databasePath, orders } = await served([1])
    const [order] = orders
    if (order === undefined) throw new TypeError('no order')
    const registry = t.world.devnet.contracts.teeRegistry.connect(t.world.node)
    await (await registry.disableTEE(enclave.teeId)).wait()
    const key: VerifierOptions = {
      kind: 'key',
      address: t.world.devnet.deployment.keyReceiptVerifier,
      signer: ecdsaSigner(t.world.node.privateKey),
    }
    await t.withNode({ databasePath, verifiers: [lost(enclave), key] }, async (node) => {
      const other = await t.used(1, { at: node })
      await node.settler.settleOnce({ force: true })
      expect((await t.chainState(other)).released).toBe(15n)
      expect((await t.chainState(order)).released).toBe(0n)
      await (await registry.enableTEE(enclave.teeId)).wait()
      await node.settler.settleAll(FOREVER)
      expect((await t.chainState(order)).released).toBe(15n)
    })
  })
})
