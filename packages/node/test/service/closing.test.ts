import { heldCall, outcomeOf, setUpNode } from '../support/fixture.js'
import { JsonRpcProvider } from 'ethers'
import { describe, expect, it } from 'vitest'

describe('requestClose', () => {
  const t = setUpNode()

  it('ends admission at once when the payer asks for it, and gives the rest back', async () => {
    const order = await t.world.admitted(t.node)
    expect(await t.serve(order, { index: 0n })).toBe('served')
    expect(await t.node.service.requestClose(t.world.signClose(order))).toEqual({
      status: 'closing',
      orderId: order.orderId,
    })
    expect(await t.serve(order, { index: 1n })).toBe('order-closing')
    const before = await t.world.devnet.contracts.token.balanceOf(t.world.payer.address)
    await t.node.settler.settleAll({ signal: new AbortController().signal })
    expect((await t.world.devnet.contracts.token.balanceOf(t.world.payer.address)) - before).toBe(985n)
  })

  it('is refused to anyone but the payer', async () => {
    const order = await t.world.admitted(t.node)
    expect(await t.node.service.requestClose(t.world.signClose(order, t.world.requester))).toMatchObject({
      reason: 'signature-invalid',
    })
    expect(await t.node.service.requestClose({ closeRequest: 1 })).toMatchObject({ reason: 'malformed' })
    expect(await t.serve(order, { index: 0n })).toBe('served')
  })

  it('never signs a close while a request runs: a receipt after it could not be settled', async () => {
    const order = await t.world.admitted(t.node)
    const { call, started, release } = heldCall(t.world, order, { index: 0n, maxFee: 500n })
    const running = t.node.service.serve(call)
    await started
    await t.node.service.requestClose(t.world.signClose(order))
    await t.node.settler.settleOnce({ force: true })
    expect((await t.world.devnet.contracts.escrow.orders(order.orderId)).closed).toBe(false)
    release()
    expect(outcomeOf(await running)).toBe('served')
    await t.node.settler.settleAll({ signal: new AbortController().signal })
    expect((await t.world.devnet.contracts.escrow.orders(order.orderId)).closed).toBe(true)
    expect(await t.node.store.order(order.orderId)).toMatchObject({ cumulativeFee: 500n, released: 500n })
  })
})

/** An RPC on whose next call something else happens first. */
class Interrupted extends JsonRpcProvider {
  before: (() => Promise<unknown>) | undefined

  override async send(method: string, params: unknown[] | Record<string, unknown>): Promise<unknown> {
    const { before } = this
    this.before = undefined
    await before?.()
    return super.send(method, params)
  }
}

describe('an order that one request closes', () => {
  const t = setUpNode()

  it('request whose twin was answered while it was let in: it gets that answer, and is billed once', async () => {
    const rpc = new Interrupted(t.world.devnet.rpcUrl, 31_337, { staticNetwork: true, cacheTimeout: -1 })
    const databasePath = t.world.freshBooks()
    await t.withNode({ databasePath, rpc, gate: { refreshAfterMs: 0 } }, async (slow) => {
      await t.withNode({ databasePath }, async (quick) => {
        const order = await t.world.admitted(quick)
        rpc.before = async () => {
          expect(await t.serve(order, { index: 0n }, quick)).toBe('served')
          await quick.store.endPayment(order.orderId, 'answered')
        }
        expect(await t.serve(order, { index: 0n }, slow)).toBe('replayed')
        expect(await quick.store.order(order.orderId)).toMatchObject({ receiptCount: 1n, cumulativeFee: 15n })
      })
    })
  })
})
