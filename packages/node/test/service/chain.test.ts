import { ChainUnavailableError } from '@opg/operator'
import { inspect } from 'node:util'
import { toWire } from '@opg/protocol'
import { afterEach, beforeEach } from 'vitest'
import type { PaymentNode } from '../../src/service/openNode.js'
import { type FlakyRpc, type RpcMood, startFlakyRpc } from '@opg/devnet'
import { setUpNode } from '../support/fixture.js'
import { orderInput } from '../support/world.js'
import { describe, expect, it } from 'vitest'

describe('serve, and the chain', () => {
  const t = setUpNode()

  let rpc: FlakyRpc
  let refreshing: PaymentNode

  beforeEach(async () => {
    rpc = await startFlakyRpc(t.world.devnet.rpcUrl)
    refreshing = await t.world.openNode({ rpc: rpc.url, gate: { refreshAfterMs: 0 } })
  })
  afterEach(async () => {
    await refreshing.close()
    await rpc.stop()
  })

  it.each<RpcMood>(['error', 'garbage', 'hang-up'])(
    'is unavailable, and nothing invalid or paid, while the RPC answers with %s (N6)',
    async (mood) => {
      const order = await t.world.admitted(refreshing)
      const fresh = await t.world.open()
      rpc.mood = mood
      expect(await t.serve(order, { index: 0n }, refreshing)).toBe('unavailable')
      expect(await refreshing.service.admitOrder(orderInput(fresh))).toMatchObject({
        reason: 'unavailable',
        httpStatus: 503,
      })
      const unsure = toWire(t.world.signRequest({ ...order, requester: t.world.payer }, { index: 0n }))
      expect(await t.serve(order, { index: 0n, signedRequest: unsure }, refreshing)).toBe('unavailable')
      expect(await refreshing.status()).toMatchObject({ credits: undefined })
      rpc.mood = 'well'
      expect(await t.serve(order, { index: 0n }, refreshing)).toBe('served')
    },
  )

  it('ends admission when the order was closed behind its back', async () => {
    const order = await t.world.admitted(refreshing)
    await (await t.world.devnet.contracts.escrow.connect(t.world.node).release(order.terms, order.order)).wait()
    expect(await t.serve(order, { index: 0n }, refreshing)).toBe('order-closed')
  })

  it('ends admission when a reorg took the opening, and begins again when it is back (N5)', async () => {
    const order = await t.world.admitted(refreshing)
    expect(await t.serve(order, { index: 0n }, refreshing)).toBe('served')
    await t.world.devnet.reorg(1)
    expect(await t.serve(order, { index: 1n }, refreshing)).toBe('order-not-open')
    await (await t.world.devnet.contracts.escrow.connect(t.world.payer).openFunded(order.terms, order.order)).wait()
    expect(await t.serve(order, { index: 1n }, refreshing)).toBe('served')
  })

  it('shows its URL, which may hold a key, in no error and no log (N8)', async () => {
    const secretive = await t.world.openNode({ rpc: `${rpc.url}/v2/SECRET-API-KEY` })
    await t.world.admitted(secretive)
    for (const mood of ['error', 'garbage', 'hang-up'] as const) {
      rpc.mood = mood
      const error: unknown = await secretive.settler.settleOnce().catch((thrown: unknown) => thrown)
      expect(error).toBeInstanceOf(ChainUnavailableError)
      expect(inspect(error, { depth: 9, showHidden: true })).not.toContain('SECRET')
    }
    rpc.mood = 'well'
    await secretive.close()
    expect(t.world.logged.join()).not.toContain('SECRET')
  })

  it('is not flooded by a flood of bad signatures', async () => {
    const order = await t.world.admitted(t.node)
    const calm = await t.world.openNode({ rpc: rpc.url })
    await calm.service.admitOrder(orderInput(order))
    rpc.asked.length = 0
    for (const index of [0n, 1n, 2n]) {
      const signedRequest = toWire(t.world.signRequest({ ...order, requester: t.world.payer }, { index }))
      expect(await t.serve(order, { index, signedRequest }, calm)).toBe('signature-invalid')
    }
    expect(rpc.asked).toEqual(['eth_getCode'])
    await calm.close()
  })

  it('is not asked again for every request', async () => {
    const order = await t.world.admitted(t.node)
    const calm = await t.world.openNode({ rpc: rpc.url })
    await calm.service.admitOrder(orderInput(order))
    rpc.asked.length = 0
    for (const index of [0n, 1n, 2n]) expect(await t.serve(order, { index }, calm)).toBe('served')
    expect(rpc.asked).toEqual([])
    await calm.close()
  })
})
