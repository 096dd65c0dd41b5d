import { generateKeyPairSync } from 'node:crypto'
import { type Hex, ZERO_BYTES32, requestHash } from '@opg/protocol'
import { keccak256 } from 'ethers'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ChainUnavailableError, OrderNotReleasableError, WrongChainError } from '../../src/errors.js'
import { rsaPssSigner } from '../../src/receipts/rsaPssSigner.js'
import type { NodeOptions, PaymentNode } from '../../src/service/openNode.js'
import { startFlakyRpc } from '../support/flakyRpc.js'
import { BODY, type OpenOrder, PATH, World } from '../support/world.js'

const FOREVER = { signal: new AbortController().signal }

describe('the settler', () => {
  let world: World
  let node: PaymentNode
  let snapshot: string

  beforeAll(async () => {
    world = await World.start()
  })
  afterAll(() => world.stop())
  beforeEach(async () => {
    snapshot = await world.devnet.snapshot()
    node = await world.openNode()
  })
  afterEach(async () => {
    await node.close()
    await world.devnet.setAutomine(true)
    await world.devnet.revert(snapshot)
  })

  /** An order with so many requests served, at 15 base units each. */
  async function used(
    count: number,
    input: Parameters<World['open']>[0] & { readonly at?: PaymentNode } = {},
  ): Promise<OpenOrder> {
    const { at = node, ...order } = input
    const opened = await world.admitted(at, order)
    for (let i = 0; i < count; i++) {
      const answer = await at.service.serve(world.call(opened, { index: BigInt(i) }))
      expect(answer.status).toBe('served')
    }
    return opened
  }

  async function chainState(order: OpenOrder): Promise<{ readonly released: bigint; readonly closed: boolean }> {
    const { released, closed } = await world.devnet.contracts.escrow.orders(order.orderId)
    return { released, closed }
  }

  async function settledEvents(order: OpenOrder): Promise<number> {
    const { escrow } = world.devnet.contracts
    return (await escrow.queryFilter(escrow.filters.OrderSettled(order.orderId))).length
  }

  async function withNode(overrides: Partial<NodeOptions>, use: (other: PaymentNode) => Promise<void>): Promise<void> {
    const other = await world.openNode(overrides)
    try {
      await use(other)
    } finally {
      await other.close()
    }
  }

  describe('a batch', () => {
    it('settles many orders in one transaction and books what the events say', async () => {
      const orders = [await used(1), await used(2), await used(3)]
      const report = await node.settler.settleOnce({ force: true })
      expect(report).toMatchObject({ status: 'done', submitted: [{ kind: 'settle' }] })
      await node.settler.settleAll(FOREVER)
      for (const [i, order] of orders.entries()) {
        const total = 15n * BigInt(i + 1)
        expect(await chainState(order)).toEqual({ released: total, closed: false })
        expect(await node.store.order(order.orderId)).toMatchObject({ released: total, inFlight: false })
      }
      expect(await node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [] })
    })

    it('takes no more rows than the policy allows, nor more transfers than the chain does (F15)', async () => {
      const databasePath = world.freshBooks()
      await withNode({ databasePath, settle: { batchSize: 2 } }, async (small) => {
        for (let i = 0; i < 3; i++) await used(1, { at: small })
        const report = await small.settler.settleOnce({ force: true })
        expect(report).toMatchObject({
          submitted: [{ settlements: { length: 2 } }, { settlements: { length: 1 } }],
        })
        await small.settler.settleAll(FOREVER)
      })
      await withNode({ databasePath, settle: { maxTransfersPerBatch: 2 } }, async (narrow) => {
        for (const order of [await used(1, { at: narrow }), await used(1, { at: narrow })]) {
          await narrow.service.requestClose(world.signClose(order))
        }
        const report = await narrow.settler.settleOnce({ force: true })
        // One refund each, and room for a claim.
        expect(report).toMatchObject({ submitted: [{ settlements: { length: 1 } }, { settlements: { length: 1 } }] })
      })
    })

    it('sends orders of different terms in transactions of their own', async () => {
      await used(1)
      await used(1, { terms: { evidenceKey: `0x${world.node.address.slice(2).toLowerCase().padStart(64, '0')}` } })
      const report = await node.settler.settleOnce({ force: true })
      expect(report).toMatchObject({ submitted: { length: 2 } })
    })

    it('settles the others when one order comes too late', async () => {
      const now = await world.devnet.now()
      const [late, good] = [await used(1, { order: { claimBy: now + 2_000 } }), await used(1)]
      await world.devnet.setAutomine(false)
      expect(await node.settler.settleOnce({ force: true })).toMatchObject({ pending: 1 })
      await world.devnet.increaseTime(2_100) // mines it, after claimBy
      await node.settler.settleOnce()
      expect((await chainState(good)).released).toBe(15n)
      expect((await chainState(late)).released).toBe(0n)
      expect(await node.store.order(late.orderId)).toMatchObject({ blocked: 'late', released: 0n, inFlight: false })
      expect(await node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [] })
    })

    it('never sends what the chain would pass over: closed behind its back, or past claimBy', async () => {
      const now = await world.devnet.now()
      const [released, expired] = [await used(1), await used(1, { order: { claimBy: now + 2_000 } })]
      await (await world.devnet.contracts.escrow.connect(world.node).release(released.terms, released.order)).wait()
      await world.devnet.increaseTime(2_000)
      expect(await node.settler.settleOnce({ force: true })).toMatchObject({ submitted: [], pending: 0 })
      expect((await node.store.order(released.orderId))?.chain).toBe('closed')
      expect((await node.status()).totals.unsettled).toBe(30n)
      expect(await chainState(expired)).toEqual({ released: 0n, closed: false })
    })
  })

  describe('closing', () => {
    it('closes an order for one request once it is done, and gives the rest back', async () => {
      const pinned = requestHash(PATH, new TextEncoder().encode(BODY))
      const job = { requester: world.requester.address as Hex, requestHash: pinned }
      const order = await used(1, { order: { job } })
      const { token } = world.devnet.contracts
      const before = await token.balanceOf(world.payer.address)
      await node.settler.settleAll(FOREVER)
      expect((await chainState(order)).closed).toBe(true)
      expect((await token.balanceOf(world.payer.address)) - before).toBe(985n)
      expect(await node.store.order(order.orderId)).toMatchObject({ chain: 'closed', released: 15n, closing: 'single' })
    })

    it('closes an order that is used up, and leaves one that is not', async () => {
      const [full, half] = [await used(2, { order: { amount: 115n } }), await used(1)]
      const last = await node.service.serve(
        world.call(full, {
          index: 2n,
          maxFee: 85n,
          run: () => Promise.resolve({ usage: { inputTokens: 0n, outputTokens: 999n }, contentType: 'a/b' }),
        }),
      )
      expect(last.status).toBe('served')
      await node.settler.settleAll(FOREVER)
      expect((await chainState(full)).closed).toBe(true)
      expect((await chainState(half)).closed).toBe(false)
    })

    it('closes near claimBy, and not before', async () => {
      const order = await used(1)
      await node.settler.settleAll(FOREVER)
      await world.devnet.increaseTime(order.order.claimBy - (await world.devnet.now()) - 700)
      await node.settler.settleAll(FOREVER)
      expect((await chainState(order)).closed).toBe(false)
      await world.devnet.increaseTime(120)
      await node.settler.settleAll(FOREVER)
      expect((await chainState(order)).closed).toBe(true)
      expect(await node.service.serve(world.call(order, { index: 9n }))).toMatchObject({ reason: 'order-closing' })
    })

    it('gives an unused order back when its payer asks, though it earns nothing', async () => {
      const order = await used(0)
      await node.service.requestClose(world.signClose(order))
      await node.settler.settleAll(FOREVER)
      expect((await chainState(order)).closed).toBe(true)
    })
  })

  describe('one lane', () => {
    it('never settles twice, whatever number of processes try at once', async () => {
      const databasePath = world.freshBooks()
      await withNode({ databasePath }, async (one) => {
        await withNode({ databasePath }, async (two) => {
          const order = await used(3, { at: one })
          const nonce = await world.devnet.provider.getTransactionCount(world.node.address)
          await Promise.all([one, two, one, two].map((each) => each.settler.settleAll(FOREVER)))
          expect(await settledEvents(order)).toBe(1)
          expect(await world.devnet.provider.getTransactionCount(world.node.address)).toBe(nonce + 1)
        })
      })
    })
  })

  describe('a transaction that is stuck', () => {
    it('is replaced with higher fees under the same nonce, and booked once', async () => {
      let nowMs = Date.now()
      await withNode({ clock: () => nowMs, settle: { replaceAfterMs: 1_000 } }, async (patient) => {
        const order = await used(1, { at: patient })
        await world.devnet.setAutomine(false)
        await patient.settler.settleOnce({ force: true })
        nowMs += 999
        await patient.settler.settleOnce({ force: true })
        expect((await patient.store.pendingEntries())[0]?.attempts).toHaveLength(1)
        nowMs += 1
        await patient.settler.settleOnce({ force: true })
        const [entry] = await patient.store.pendingEntries()
        const [first, second] = entry?.attempts ?? []
        expect(second?.maxPriorityFeePerGas).toBeGreaterThan(((first?.maxPriorityFeePerGas ?? 0n) * 112n) / 100n)
        await world.devnet.mine(1)
        await patient.settler.settleOnce()
        expect(await patient.store.pendingEntries()).toEqual([])
        expect((await chainState(order)).released).toBe(15n)
        expect(await settledEvents(order)).toBe(1)
      })
    })

    it('is planned anew when another transaction of the key took its nonce', async () => {
      const order = await used(1)
      await world.devnet.setAutomine(false)
      await node.settler.settleOnce({ force: true })
      const [entry] = await node.store.pendingEntries()
      const gwei = 10n ** 9n
      await world.node.sendTransaction({
        to: world.payer.address,
        nonce: entry?.nonce ?? 0,
        maxFeePerGas: 900n * gwei,
        maxPriorityFeePerGas: 90n * gwei,
      })
      await world.devnet.mine(1)
      await world.devnet.setAutomine(true)
      expect((await chainState(order)).released).toBe(0n)
      await node.settler.settleAll(FOREVER)
      expect((await chainState(order)).released).toBe(15n)
      expect((await node.store.entries()).map(({ state }) => state)).toEqual(['superseded', 'confirmed'])
    })

    it('is not booked before its confirmations', async () => {
      await withNode({ settle: { confirmations: 3 } }, async (careful) => {
        const order = await world.open()
        await world.devnet.mine(2)
        await careful.service.admitOrder(
          JSON.parse(
            JSON.stringify({ terms: order.terms, order: order.order }, (_, value: unknown) =>
              typeof value === 'bigint' ? value.toString() : value,
            ),
          ),
        )
        await careful.service.serve(world.call(order, { index: 0n }))
        await careful.settler.settleOnce({ force: true })
        expect((await chainState(order)).released).toBe(15n)
        await world.devnet.mine(1)
        expect(await careful.settler.settleOnce()).toMatchObject({ pending: 1 })
        await world.devnet.mine(1)
        expect(await careful.settler.settleOnce()).toMatchObject({ pending: 0 })
        expect(await settledEvents(order)).toBe(1)
      })
    })
  })

  describe('a reorg', () => {
    it('that takes a booked settlement out makes it be sent again', async () => {
      const order = await used(2)
      await node.settler.settleAll(FOREVER)
      expect((await node.store.order(order.orderId))?.released).toBe(30n)
      await world.devnet.reorg(1)
      expect((await chainState(order)).released).toBe(0n)
      await node.settler.settleAll(FOREVER)
      expect((await chainState(order)).released).toBe(30n)
      expect(await settledEvents(order)).toBe(1)
      expect(await node.store.order(order.orderId)).toMatchObject({ released: 30n, inFlight: false })
    })

    it('that takes a close out makes it be sent again, and admits nothing meanwhile', async () => {
      const order = await used(1)
      await node.service.requestClose(world.signClose(order))
      await node.settler.settleAll(FOREVER)
      await world.devnet.reorg(1)
      expect(await node.service.serve(world.call(order, { index: 5n }))).toMatchObject({ reason: 'order-closing' })
      await node.settler.settleAll(FOREVER)
      expect((await chainState(order)).closed).toBe(true)
    })

    it('that takes the opening out keeps its receipts, and settles them when the order is open again', async () => {
      const order = await used(1)
      await world.devnet.reorg(1)
      await node.settler.settleOnce({ force: true })
      expect((await node.store.order(order.orderId))?.chain).toBe('missing')
      await (await world.devnet.contracts.escrow.connect(world.payer).openFunded(order.terms, order.order)).wait()
      await node.service.admitOrder(
        JSON.parse(
          JSON.stringify({ terms: order.terms, order: order.order }, (_, value: unknown) =>
            typeof value === 'bigint' ? value.toString() : value,
          ),
        ),
      )
      await node.settler.settleAll(FOREVER)
      expect((await chainState(order)).released).toBe(15n)
    })
  })

  describe('a chain that is silent', () => {
    it('is an error of its own, changes nothing, and is asked again (N6)', async () => {
      const rpc = await startFlakyRpc(world.devnet.rpcUrl)
      await withNode({ rpc: rpc.url }, async (remote) => {
        const order = await used(1, { at: remote })
        rpc.mood = 'error'
        await expect(remote.settler.settleOnce({ force: true })).rejects.toBeInstanceOf(ChainUnavailableError)
        expect(await remote.store.entries()).toEqual([])
        rpc.mood = 'well'
        const stop = new AbortController()
        const running = remote.settler.run({ signal: stop.signal, intervalMs: 20 })
        rpc.mood = 'hang-up'
        await new Promise((resolve) => setTimeout(resolve, 100))
        rpc.mood = 'well'
        await remote.settler.settleAll(FOREVER)
        stop.abort()
        await running
        expect((await chainState(order)).released).toBe(15n)
        expect(await settledEvents(order)).toBe(1)
      })
      await rpc.stop()
    })
  })

  describe('evidence of an enclave', () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const signer = rsaPssSigner(privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
    const teeId = signer.evidenceKey

    function teeOptions(): Partial<NodeOptions> {
      const address = world.devnet.deployment.teeReceiptVerifier ?? '0x'
      return { verifiers: [{ kind: 'tee', address, signer }] }
    }

    async function register(): Promise<void> {
      const der = publicKey.export({ type: 'spki', format: 'der' })
      expect(keccak256(der)).toBe(teeId)
      const registry = world.devnet.contracts.teeRegistry.connect(world.node)
      await (await registry.register(der, world.node.address, 'https://node.example', 0)).wait()
    }

    it.each(['teeId', 'owner'])('releases the fee of orders that name it by %s', async (form) => {
      await register()
      await withNode(teeOptions(), async (tee) => {
        const evidenceKey =
          form === 'teeId' ? teeId : (`0x${world.node.address.slice(2).toLowerCase().padStart(64, '0')}` as const)
        const verifier = world.devnet.deployment.teeReceiptVerifier ?? ZERO_BYTES32
        const order = await used(2, { at: tee, terms: { verifier, evidenceKey } })
        const [signed] = await tee.store.receipts(order.orderId, { from: 0n, limit: 1 })
        expect(signed?.signer).toEqual({ kind: 'rsa-pss', teeId })
        await tee.settler.settleAll(FOREVER)
        expect((await chainState(order)).released).toBe(30n)
      })
    })

    it('is not sent while the enclave is disabled, and goes when it is enabled again', async () => {
      await register()
      await withNode(teeOptions(), async (tee) => {
        const verifier = world.devnet.deployment.teeReceiptVerifier ?? ZERO_BYTES32
        const order = await used(1, { at: tee, terms: { verifier, evidenceKey: teeId } })
        await (await world.devnet.contracts.teeRegistry.connect(world.node).disableTEE(teeId)).wait()
        expect(await tee.settler.settleOnce({ force: true })).toMatchObject({ submitted: [], pending: 0 })
        await (await world.devnet.contracts.teeRegistry.connect(world.node).enableTEE(teeId)).wait()
        await tee.settler.settleAll(FOREVER)
        expect((await chainState(order)).released).toBe(15n)
      })
    })

    it('keeps a node from starting with an enclave that the registry does not enable', async () => {
      await expect(world.openNode(teeOptions())).rejects.toBeInstanceOf(WrongChainError)
    })
  })

  describe('being paid', () => {
    it('claims the credit once, and nothing where there is none', async () => {
      await used(2)
      await node.settler.settleAll(FOREVER)
      const { token } = world.devnet.contracts
      expect((await node.status()).credits).toBe(29n) // 30 less the network's 5 %
      expect(await node.settler.claim({ threshold: 30n })).toBeUndefined()
      await node.settler.claim()
      expect(await token.balanceOf(world.node.address)).toBe(29n)
      expect(await node.settler.claim()).toBeUndefined()
      expect((await node.status()).pendingTransactions).toBe(0)
    })

    it('claims along with a settlement from the threshold on', async () => {
      await withNode({ settle: { claimThreshold: 29n } }, async (keen) => {
        const { token } = world.devnet.contracts
        await used(1, { at: keen })
        await keen.settler.settleAll(FOREVER)
        expect(await token.balanceOf(world.node.address)).toBe(0n)
        await used(1, { at: keen })
        await keen.settler.settleAll(FOREVER)
        expect(await token.balanceOf(world.node.address)).toBeGreaterThanOrEqual(28n)
        expect((await keen.status()).credits).toBe(0n)
      })
    })

    it('gives an order back without evidence, and never with unsettled fees unless told to (F6)', async () => {
      const order = await used(1)
      await expect(node.settler.release(order.orderId)).rejects.toBeInstanceOf(OrderNotReleasableError)
      await node.settler.settleAll(FOREVER)
      await node.settler.release(order.orderId)
      expect((await chainState(order)).closed).toBe(true)
      expect(await node.store.order(order.orderId)).toMatchObject({ chain: 'closed', released: 15n, inFlight: false })
      const lost = await used(1)
      await node.settler.release(lost.orderId, { forgoFees: true })
      expect((await chainState(lost)).closed).toBe(true)
      expect((await node.store.order(lost.orderId))?.released).toBe(0n)
    })
  })

  it('waits while the fees are not worth the gas, and says where they are', async () => {
    const order = await used(2)
    expect(await node.settler.settleOnce()).toMatchObject({ submitted: [] })
    expect((await node.status()).orders).toMatchObject([
      { orderId: order.orderId, cumulativeFee: 30n, released: 0n, unsettled: 30n, free: 970n },
    ])
  })
})
