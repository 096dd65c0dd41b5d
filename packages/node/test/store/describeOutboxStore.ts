import { LaneLostError } from '@opg/operator'
import { EMPTY_ROOT } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { hash, openOrder, openSnapshot, reserved, wish } from '../support/books.js'
import { ATTEMPT, type CreateStore, LEASE_MS, setUpBooks } from './storeFixture.js'

/** What every store of a node must do with settlements and transactions. */
export function describeOutboxStore(name: string, create: CreateStore): void {
  describe(name, () => {
    const t = setUpBooks(create)

    describe('the lane', () => {
      it('belongs to one process at a time', async () => {
        const other = await t.another()
        const lease = await t.lane()
        expect(await other.holdLane()).toBeUndefined()
        await t.store.releaseLane(lease)
        expect(await other.holdLane()).toBeDefined()
      })

      it('passes on when its holder died, and the old holder writes nothing any more', async () => {
        const other = await t.another()
        const order = await openOrder(t.store)
        const stale = await t.lane()
        t.clock.advance(LEASE_MS)
        await t.lane(other)
        const late = t.store.recordEntry(stale, {
          kind: 'claim',
          nonce: 0,
          data: '0x',
          gasLimit: 1n,
          settlements: [],
          attempt: ATTEMPT,
        })
        await expect(late).rejects.toBeInstanceOf(LaneLostError)
        await expect(
          t.store.planSettlements(stale, [{ orderId: order.orderId, close: 'idle' }]),
        ).rejects.toBeInstanceOf(LaneLostError)
        expect(await t.store.entries()).toEqual([])
      })
    })

    describe('planSettlements', () => {
      it('closes no order that a request runs on, and none after the close is planned', async () => {
        const order = await openOrder(t.store)
        await t.commit(order, 0n, 10n)
        const running = await reserved(t.store, order, 1n, 10n)
        const lease = await t.lane()
        const [open] = await t.store.planSettlements(lease, [{ orderId: order.orderId, close: 'idle' }])
        expect(open).toMatchObject({ close: false, cumulativeFee: 10n })
        await t.store.abandon(running)
        const [closed] = await t.store.planSettlements(lease, [{ orderId: order.orderId, close: 'idle' }])
        expect(closed).toMatchObject({ close: true, cumulativeFee: 10n })
        expect((await t.store.reserve(wish(order, 1n, 1n))).status).toBe('closing')
      })

      it('plans an unused order only to close it, with the empty root', async () => {
        const order = await openOrder(t.store)
        const lease = await t.lane()
        expect(await t.store.planSettlements(lease, [{ orderId: order.orderId, close: undefined }])).toEqual([])
        const [row] = await t.store.planSettlements(lease, [{ orderId: order.orderId, close: 'requested' }])
        expect(row).toMatchObject({ cumulativeFee: 0n, receiptsRoot: EMPTY_ROOT, receiptCount: 0n, close: true })
      })

      it('leaves out an order that is in flight', async () => {
        const order = await openOrder(t.store)
        await t.commit(order, 0n, 10n)
        const lease = await t.lane()
        const settlements = await t.store.planSettlements(lease, [{ orderId: order.orderId, close: undefined }])
        await t.store.recordEntry(lease, {
          kind: 'settle',
          nonce: 0,
          data: '0x',
          gasLimit: 1n,
          settlements,
          attempt: ATTEMPT,
        })
        expect(await t.store.planSettlements(lease, [{ orderId: order.orderId, close: undefined }])).toEqual([])
      })
    })

    describe('the outbox', () => {
      it('shows a written transaction to the process that comes after', async () => {
        const lease = await t.lane()
        await t.store.recordEntry(lease, {
          kind: 'claim',
          nonce: 5,
          data: '0xabcd',
          gasLimit: 9n,
          settlements: [],
          attempt: ATTEMPT,
        })
        const [entry] = await (await t.another()).pendingEntries()
        expect(entry).toMatchObject({ kind: 'claim', nonce: 5, data: '0xabcd', gasLimit: 9n, attempts: [ATTEMPT] })
      })

      it('gives no nonce out twice', async () => {
        const lease = await t.lane()
        const entry = { kind: 'claim', nonce: 5, data: '0x', gasLimit: 9n, settlements: [] } as const
        await t.store.recordEntry(lease, { ...entry, attempt: ATTEMPT })
        await expect(
          t.store.recordEntry(lease, { ...entry, attempt: { ...ATTEMPT, hash: hash('b') } }),
        ).rejects.toThrow()
      })

      it('books a settlement once, and takes it back after a reorg', async () => {
        const order = await openOrder(t.store)
        await t.commit(order, 0n, 10n)
        const id = await t.settle(order, { cumulativeFee: 10n, block: 7 })
        expect(await t.present(order.orderId)).toMatchObject({
          released: 10n,
          inFlight: false,
          unsettledSinceMs: undefined,
        })

        const lease = await t.lane()
        await t.store.unbook(lease, id)
        await t.store.noteSnapshot(order.orderId, openSnapshot(1_000n, { released: 0n, blockNumber: 3 }))
        const after = await t.present(order.orderId)
        expect(after).toMatchObject({ released: 0n, inFlight: true })
        expect(after.unsettledSinceMs).toBeDefined()
        expect(await t.store.pendingEntries()).toHaveLength(1)
      })
    })
  })
}
