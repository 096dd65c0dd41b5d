import { ChainUnavailableError, StoreError, WrongChainError } from '@opg/operator'
import { describe, expect, it } from 'vitest'
import { setUpNode } from '../support/fixture.js'

describe('openNode', () => {
  const t = setUpNode()

  it('refuses the wrong chain', async () => {
    await expect(t.world.openNode({ chainId: 10_740n })).rejects.toBeInstanceOf(WrongChainError)
    await t.withNode({ chainId: BigInt(t.world.devnet.chainId) }, (node) => {
      expect(node.node).toBe(t.world.node.address)
      return Promise.resolve()
    })
  })

  it('refuses an address where no escrow stands', async () => {
    const escrow = '0x9999999999999999999999999999999999999999'
    await expect(t.world.openNode({ escrow })).rejects.toBeInstanceOf(WrongChainError)
  })

  it('says unavailable where no RPC listens (N6)', async () => {
    await expect(t.world.openNode({ rpc: 'http://127.0.0.1:1' })).rejects.toBeInstanceOf(ChainUnavailableError)
  })

  it("refuses another node's books", async () => {
    const databasePath = t.world.freshBooks()
    await t.withNode({ databasePath }, () => Promise.resolve())
    const nodeKey = t.world.payer.privateKey
    await expect(t.world.openNode({ databasePath, nodeKey })).rejects.toBeInstanceOf(WrongChainError)
  })

  it('names a database that it cannot open', async () => {
    const databasePath = '/nowhere/node.db'
    await expect(t.world.openNode({ databasePath })).rejects.toBeInstanceOf(StoreError)
  })

  it('keeps its reservations and settles by itself while it runs', async () => {
    const stop = new AbortController()
    await t.withNode({ settle: { maxAgeSeconds: 0, opgPerWei: { numerator: 0n, denominator: 1n } } }, async (node) => {
      const running = node.run({ signal: stop.signal, settleIntervalMs: 20 })
      const order = await t.used(2, { at: node })
      while ((await t.chainState(order)).released < 30n) await new Promise((resolve) => setTimeout(resolve, 20))
      stop.abort()
      await running
    })
  })
})
