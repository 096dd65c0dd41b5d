import { SILENT } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import type { StoredOrder } from '../../src/store/types.js'
import { sweepPayments } from '../../src/x402/sweep.js'
import { hash } from '../support/books.js'
import { setUpNode } from '../support/fixture.js'
import { orderInput, type OpenOrder } from '../support/world.js'

const DEADLINE = 1_900_000_000

describe('sweepPayments', () => {
  const t = setUpNode()
  const sweep = (atSeconds: number): Promise<void> => {
    const { store, chain } = t.node
    const clock = (): number => atSeconds * 1000
    return sweepPayments({ store, chain, clock, replayMs: 0, logger: SILENT }, new AbortController().signal)
  }
  /** A payment as it is written down before its lock. */
  const note = async (order: OpenOrder): Promise<Hex> => {
    const { orderId, terms, order: body } = order
    await t.node.store.notePayment({ orderId, terms, order: body, requestId: hash('request'), deadline: DEADLINE })
    return orderId
  }
  const stored = async (orderId: Hex): Promise<StoredOrder | undefined> => t.node.store.order(orderId)

  it('gives back what was locked and never served, from the end of its authorization on', async () => {
    const order = await t.world.open()
    const orderId = await note(order)
    for (const at of [DEADLINE - 1, DEADLINE]) {
      expect(await stored(orderId)).toBeUndefined()
      await sweep(at)
    }
    expect(await stored(orderId)).toMatchObject({ chain: 'open', closing: 'failed' })
    const before = await t.world.devnet.contracts.token.balanceOf(t.world.payer.address)
    await t.node.settler.settleOnce()
    expect(await t.chainState(order)).toMatchObject({ closed: true })
    expect((await t.world.devnet.contracts.token.balanceOf(t.world.payer.address)) - before).toBe(1_000n)
  })

  it('leaves alone what is being served', async () => {
    const order = await t.world.admitted(t.node)
    const orderId = await note(order)
    const reserved = await t.node.store.reserve({ orderId, index: 0n, requestId: hash('request'), maxFee: 10n })
    await sweep(DEADLINE)
    expect(await stored(orderId)).toMatchObject({ closing: undefined })
    if (reserved.status === 'reserved') await t.node.store.abandon(reserved.reservation)
    await sweep(DEADLINE)
    expect(await stored(orderId)).toMatchObject({ closing: 'failed' })
  })

  it('closes what was answered by a process that did not live to close it', async () => {
    const order = await t.used(1)
    const orderId = await note(order)
    await sweep(DEADLINE - 1)
    expect(await stored(orderId)).toMatchObject({ closing: 'answered' })
    expect(await t.node.store.payment(orderId)).toMatchObject({ state: 'ended' })
  })

  it('forgets what was never locked, once it can no longer be', async () => {
    const orderId = await note(await t.world.draft())
    await sweep(DEADLINE + 599)
    expect(await t.node.store.payment(orderId)).toMatchObject({ state: 'locking' })
    await sweep(DEADLINE + 600)
    expect(await t.node.store.payment(orderId)).toBeUndefined()
  })

  it('finds an order again that a reorg took after its end, while the chain would settle it', async () => {
    const order = await t.world.open()
    const orderId = await note(order)
    await t.node.service.admitOrder(orderInput(order))
    await t.node.store.endPayment(orderId, 'failed')
    const taken = { state: 'missing', amount: 0n, released: 0n, networkBps: 0, royaltyBps: 0, blockNumber: 1 } as const
    await t.node.store.noteSnapshot(orderId, taken)
    await sweep(order.order.claimBy)
    expect(await stored(orderId)).toMatchObject({ chain: 'missing' })
    await sweep(order.order.claimBy - 1)
    expect(await stored(orderId)).toMatchObject({ chain: 'open', closing: 'failed' })
  })
})
