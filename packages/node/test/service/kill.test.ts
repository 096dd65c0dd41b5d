import { parseSignedReceipt, toWire } from '@opg/protocol'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Child, type ChildInput, startChild } from '../support/child.js'
import { type OpenOrder, World, orderInput } from '../support/world.js'

const LEASE_MS = 300

describe('a node that is killed (N2, N4)', () => {
  let world: World

  beforeAll(async () => {
    world = await World.start()
  })
  afterAll(() => world.stop())

  function start(input: Pick<ChildInput, 'job' | 'databasePath' | 'requests' | 'killAt'>): Child {
    const { escrow, keyReceiptVerifier } = world.devnet.deployment
    const { rpcUrl } = world.devnet
    return startChild({
      ...input,
      rpcUrl,
      escrow,
      keyReceiptVerifier,
      nodeKey: world.node.privateKey,
      leaseMs: LEASE_MS,
    })
  }

  async function settledEvents(order: OpenOrder): Promise<number> {
    const { escrow } = world.devnet.contracts
    return (await escrow.queryFilter(escrow.filters.OrderSettled(order.orderId))).length
  }

  describe('in the middle of a request', () => {
    it('bills nothing, gives the reservation back, and answers the same request later', async () => {
      const databasePath = world.freshBooks()
      const node = await world.openNode({ databasePath, leaseMs: LEASE_MS })
      const order = await world.admitted(node, { order: { amount: 100n } })
      const signedRequest = toWire(world.signRequest(order, { index: 0n }))
      const child = start({ job: 'hang', databasePath, requests: [signedRequest] })
      await child.written(2) // ready, and half an answer has left
      expect(await node.store.order(order.orderId)).toMatchObject({ reserved: 100n })
      child.kill()
      expect(await child.ended).toBe('SIGKILL')

      let answer = await node.service.serve(world.call(order, { index: 0n, signedRequest }))
      while (answer.status === 'refused') {
        expect(answer.reason).toBe('in-progress') // until the lease of the dead process ends
        await new Promise((resolve) => setTimeout(resolve, 50))
        answer = await node.service.serve(world.call(order, { index: 0n, signedRequest }))
      }
      expect(answer).toMatchObject({ status: 'served', signedReceipt: { receipt: { seq: 0n, cumulativeFee: 15n } } })
      await node.close()
    })
  })

  describe('at random points under load', () => {
    it('keeps every receipt that a client holds, and settles each once', async () => {
      const databasePath = world.freshBooks()
      const node = await world.openNode({ databasePath, leaseMs: LEASE_MS })
      const order = await world.admitted(node, { order: { amount: 1_000_000n } })
      const requests = Array.from({ length: 150 }, (_, i) => toWire(world.signRequest(order, { index: BigInt(i) })))
      const held = new Map<string, string>()
      for (const linesBeforeKill of [2, 30, 75]) {
        const child = start({ job: 'serve', databasePath, requests })
        await child.written(linesBeforeKill)
        child.kill()
        await child.ended
        for (const line of child.lines.filter((text) => text.startsWith('{'))) {
          const { receipt } = parseSignedReceipt(JSON.parse(line))
          const requestId = receipt.requestId
          // Another receipt for a request that has one would be fraud.
          expect(held.get(requestId) ?? line).toBe(line)
          held.set(requestId, line)
        }
      }
      expect(held.size).toBeGreaterThanOrEqual(60)

      const stored = await node.store.receipts(order.orderId, { from: 0n, limit: 1_000 })
      const storedLines = new Set(stored.map((signed) => JSON.stringify(toWire(signed))))
      for (const line of held.values()) expect(storedLines).toContain(line)
      let total = 0n
      stored.forEach(({ receipt }, i) => {
        total += receipt.fee
        expect(receipt).toMatchObject({ seq: BigInt(i), cumulativeFee: total })
      })

      await node.settler.settleAll({ signal: new AbortController().signal })
      expect((await world.devnet.contracts.escrow.orders(order.orderId)).released).toBe(total)
      expect(await settledEvents(order)).toBe(1)
      await node.close()
    })
  })

  describe('while it settles', () => {
    it.each([
      ['before it wrote the transaction', { method: 'eth_estimateGas', when: 'before' }],
      ['after it wrote the transaction and before it sent it', { method: 'eth_sendRawTransaction', when: 'before' }],
      ['after the chain took it', { method: 'eth_sendRawTransaction', when: 'after' }],
      ['before it read the receipt', { method: 'eth_getTransactionReceipt', when: 'before' }],
      ['after it read the receipt and before it booked it', { method: 'eth_getTransactionReceipt', when: 'after' }],
    ] as const)('settles once, killed %s', async (_, killAt) => {
      const databasePath = world.freshBooks()
      const node = await world.openNode({ databasePath, leaseMs: LEASE_MS })
      const order = await world.admitted(node)
      for (const index of [0n, 1n, 2n]) await node.service.serve(world.call(order, { index }))
      const nonceBefore = await world.devnet.provider.getTransactionCount(world.node.address)

      const child = start({ job: 'settle', databasePath, killAt })
      expect(await child.ended).toBe('SIGKILL')

      // The dead process's lane ends with its lease; then whoever lives goes on.
      await node.settler.settleAll({ signal: new AbortController().signal })
      const { escrow } = world.devnet.contracts
      expect((await escrow.orders(order.orderId)).released).toBe(45n)
      expect(await settledEvents(order)).toBe(1)
      expect(await world.devnet.provider.getTransactionCount(world.node.address)).toBe(nonceBefore + 1)
      expect(await node.store.order(order.orderId)).toMatchObject({ released: 45n, inFlight: false })
      await node.close()
    })

    it.each([
      ['after it wrote the transaction and before it sent it', { method: 'eth_sendRawTransaction', when: 'before' }],
      ['after the chain took it', { method: 'eth_sendRawTransaction', when: 'after' }],
      ['after it read the receipt and before it booked it', { method: 'eth_getTransactionReceipt', when: 'after' }],
    ] as const)('settles a slice once, killed %s', async (_, killAt) => {
      const databasePath = world.freshBooks()
      const node = await world.openNode({ databasePath, leaseMs: LEASE_MS })
      const [slice] = await world.openSlices()
      await node.service.admitOrder(orderInput(slice))
      for (const index of [0n, 1n]) await node.service.serve(world.call(slice, { index }))
      await node.service.requestClose(world.signClose(slice))
      const paidBefore = await world.devnet.contracts.token.balanceOf(world.node.address)

      const child = start({ job: 'settle', databasePath, killAt })
      expect(await child.ended).toBe('SIGKILL')

      await node.settler.settleAll({ signal: new AbortController().signal })
      const { escrow, token } = world.devnet.contracts
      expect(await escrow.queryFilter(escrow.filters.SliceSettled(undefined, slice.orderId))).toHaveLength(1)
      expect((await token.balanceOf(world.node.address)) - paidBefore).toBe(29n)
      expect(await node.store.order(slice.orderId)).toMatchObject({ chain: 'closed', released: 30n, inFlight: false })
      await node.close()
    })
  })
})
