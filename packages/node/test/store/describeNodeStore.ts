import { type Hex, EMPTY_ROOT, ZERO_BYTES32, rootOfLeaves, receiptLeaf } from '@opg/protocol'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FeeOverReservationError, LaneLostError, ReservationLostError, WrongChainError } from '../../src/errors.js'
import type { LaneLease, OutboxAttempt } from '../../src/store/outboxTypes.js'
import type { BooksIdentity, NodeStore, StoredOrder } from '../../src/store/types.js'
import { IDENTITY, commitmentOf, hash, openOrder, openSnapshot, reserved, wish } from '../support/books.js'
import { type TestClock, createTestClock } from '../support/clock.js'

export const LEASE_MS = 10_000

export interface StoreFixture {
  /** Another handle on the same books, as another process would have it. */
  open(input: { readonly clock: TestClock; readonly identity: BooksIdentity }): Promise<NodeStore>
  remove(): Promise<void>
}

const ATTEMPT: OutboxAttempt = {
  raw: '0x02',
  hash: hash('tx'),
  maxFeePerGas: 1n,
  maxPriorityFeePerGas: 1n,
  signedAtMs: 0,
}

/** What every store of a node must do. */
export function describeNodeStore(name: string, create: () => Promise<StoreFixture>): void {
  describe(name, () => {
    let fixture: StoreFixture
    let clock: TestClock
    let store: NodeStore
    const opened: NodeStore[] = []

    async function another(identity: BooksIdentity = IDENTITY): Promise<NodeStore> {
      const handle = await fixture.open({ clock, identity })
      opened.push(handle)
      return handle
    }

    beforeEach(async () => {
      fixture = await create()
      clock = createTestClock()
      store = await another()
    })
    afterEach(async () => {
      for (const handle of opened.splice(0)) await handle.close()
      await fixture.remove()
    })

    async function commit(order: StoredOrder, index: bigint, fee: bigint): Promise<void> {
      const reservation = await reserved(store, order, index, fee)
      await store.commit(reservation, commitmentOf(order, reservation, { fee }))
    }

    async function present(orderId: Hex): Promise<StoredOrder> {
      const order = await store.order(orderId)
      if (order === undefined) throw new TypeError('the order has gone')
      return order
    }

    async function lane(handle = store): Promise<LaneLease> {
      const lease = await handle.holdLane()
      if (lease === undefined) throw new TypeError('the lane is held')
      return lease
    }

    describe('opening', () => {
      it.each([
        ['another node', { ...IDENTITY, node: '0x9999999999999999999999999999999999999999' }],
        ['another escrow', { ...IDENTITY, escrow: '0x9999999999999999999999999999999999999999' }],
        ['the wrong chain', { ...IDENTITY, chainId: 1n }],
      ] as const)('refuses the books of %s', async (_, identity) => {
        await expect(another(identity)).rejects.toBeInstanceOf(WrongChainError)
      })
    })

    describe('orders', () => {
      it('keeps every bit of amounts of 96 bits', async () => {
        const amount = 2n ** 96n - 1n
        const order = await openOrder(store, { amount, nonce: 2n ** 256n - 1n })
        await commit(order, 2n ** 64n - 1n, amount - 1n)
        const read = await (await another()).order(order.orderId)
        expect(read?.order).toEqual(order.order)
        expect(read?.cumulativeFee).toBe(amount - 1n)
        expect((await store.reserve(wish(order, 1n, 2n))).status).toBe('exhausted')
        expect((await store.reserve(wish(order, 1n, 1n))).status).toBe('reserved')
      })

      it('keeps its receipts when the same order is admitted again', async () => {
        const order = await openOrder(store)
        await commit(order, 0n, 10n)
        const again = await store.putOrder({ ...order, snapshot: openSnapshot(1_000n) })
        expect(again.cumulativeFee).toBe(10n)
        expect(again.receiptCount).toBe(1n)
      })

      it('does not let an older look at the chain undo a booking', async () => {
        const order = await openOrder(store)
        await commit(order, 0n, 10n)
        await settle(order, { cumulativeFee: 10n, block: 7 })
        await store.noteSnapshot(order.orderId, openSnapshot(1_000n, { released: 0n, blockNumber: 6 }))
        expect((await present(order.orderId)).released).toBe(10n)
        await store.noteSnapshot(order.orderId, openSnapshot(1_000n, { released: 4n, blockNumber: 8 }))
        expect((await present(order.orderId)).released).toBe(4n)
      })
    })

    describe('reserve', () => {
      it('admits up to the last base unit and not one more', async () => {
        const order = await openOrder(store, { amount: 100n })
        expect((await store.reserve(wish(order, 0n, 101n))).status).toBe('exhausted')
        expect((await store.reserve(wish(order, 0n, 100n))).status).toBe('reserved')
        expect(await store.reserve(wish(order, 1n, 1n))).toEqual({ status: 'exhausted', free: 0n })
      })

      it('counts what the chain released where that is more than the books', async () => {
        const order = await openOrder(store, { amount: 100n })
        await store.noteSnapshot(order.orderId, openSnapshot(100n, { released: 60n, blockNumber: 2 }))
        expect(await store.reserve(wish(order, 0n, 41n))).toEqual({ status: 'exhausted', free: 40n })
      })

      it('never admits more than the order holds, under many parallel requests of two processes', async () => {
        const order = await openOrder(store, { amount: 100n })
        const other = await another()
        const wishes = Array.from({ length: 60 }, (_, i) =>
          (i % 2 === 0 ? store : other).reserve(wish(order, BigInt(i), 7n)),
        )
        const outcomes = await Promise.all(wishes)
        expect(outcomes.filter((outcome) => outcome.status === 'reserved')).toHaveLength(14)
        expect((await present(order.orderId)).reserved).toBe(98n)
      })

      it('gives the stored answer to the same request', async () => {
        const order = await openOrder(store)
        await commit(order, 3n, 10n)
        const outcome = await (await another()).reserve(wish(order, 3n, 10n))
        expect(outcome.status).toBe('answered')
        if (outcome.status === 'answered') expect(new TextDecoder().decode(outcome.answer.body)).toBe('answer')
      })

      it('refuses another request under an index that is running or answered', async () => {
        const order = await openOrder(store)
        await reserved(store, order, 0n, 10n)
        await commit(order, 1n, 10n)
        for (const index of [0n, 1n]) {
          expect((await store.reserve({ ...wish(order, index, 10n), requestId: hash('other') })).status).toBe(
            'conflict',
          )
        }
      })

      it('does not run the same request twice at once, in another process neither', async () => {
        const order = await openOrder(store)
        await reserved(store, order, 0n, 10n)
        expect((await (await another()).reserve(wish(order, 0n, 10n))).status).toBe('in-progress')
      })

      it('lets a failed request run again', async () => {
        const order = await openOrder(store, { amount: 10n })
        await store.abandon(await reserved(store, order, 0n, 10n))
        expect((await store.reserve(wish(order, 0n, 10n))).status).toBe('reserved')
      })

      it('admits one request to an order that pays for one', async () => {
        const order = await openOrder(store, {
          job: { requester: '0x5555555555555555555555555555555555555555', requestHash: hash('pinned') },
        })
        const reservation = await reserved(store, order, 0n, 10n)
        expect((await store.reserve(wish(order, 1n, 10n))).status).toBe('in-progress')
        await store.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        expect((await store.reserve(wish(order, 1n, 10n))).status).toBe('exhausted')
      })

      it('admits nothing to an order that is closing, closed, missing or unknown', async () => {
        const closing = await openOrder(store)
        await store.startClosing(closing.orderId, 'requested')
        expect(await store.reserve(wish(closing, 0n, 1n))).toEqual({ status: 'closing', reason: 'requested' })
        const closed = await openOrder(store)
        await store.noteSnapshot(closed.orderId, openSnapshot(1_000n, { state: 'closed', blockNumber: 2 }))
        expect((await store.reserve(wish(closed, 0n, 1n))).status).toBe('not-open')
        const missing = await openOrder(store)
        await store.noteSnapshot(missing.orderId, openSnapshot(0n, { state: 'missing', blockNumber: 2 }))
        expect((await store.reserve(wish(missing, 0n, 1n))).status).toBe('not-open')
        expect((await store.reserve({ ...wish(closed, 0n, 1n), orderId: hash('none') })).status).toBe('unknown')
      })
    })

    describe('commit', () => {
      it('numbers receipts without gaps and adds fees up, whatever the order of finishing', async () => {
        const order = await openOrder(store)
        const reservations = await Promise.all([0n, 1n, 2n, 3n].map((index) => reserved(store, order, index, 100n)))
        const [a, b, c, d] = reservations
        if (a === undefined || b === undefined || c === undefined || d === undefined) throw new TypeError('missing')
        await store.commit(c, commitmentOf(order, c, { fee: 5n }))
        await store.abandon(b)
        await store.commit(a, commitmentOf(order, a, { fee: 0n }))
        await store.commit(d, commitmentOf(order, d, { fee: 7n }))
        const receipts = (await store.receipts(order.orderId, { from: 0n, limit: 10 })).map(({ receipt }) => receipt)
        expect(receipts.map(({ seq, cumulativeFee }) => [seq, cumulativeFee])).toEqual([
          [0n, 5n],
          [1n, 5n],
          [2n, 12n],
        ])
        const after = await present(order.orderId)
        expect(after.cumulativeFee).toBe(12n)
        expect(after.reserved).toBe(0n)
        const [plan] = await store.planSettlements(await lane(), [{ orderId: order.orderId, close: undefined }])
        expect(plan?.receiptsRoot).toBe(rootOfLeaves(receipts.map(receiptLeaf)))
        expect(plan?.receiptCount).toBe(3n)
      })

      it('refuses a fee over the reservation and keeps the books as they were', async () => {
        const order = await openOrder(store)
        const reservation = await reserved(store, order, 0n, 10n)
        const tooMuch = store.commit(reservation, commitmentOf(order, reservation, { fee: 11n }))
        await expect(tooMuch).rejects.toBeInstanceOf(FeeOverReservationError)
        expect((await present(order.orderId)).receiptCount).toBe(0n)
        expect((await present(order.orderId)).reserved).toBe(10n)
      })

      it('takes a reservation once', async () => {
        const order = await openOrder(store)
        const reservation = await reserved(store, order, 0n, 10n)
        await store.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        const again = store.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        await expect(again).rejects.toBeInstanceOf(ReservationLostError)
        expect((await present(order.orderId)).cumulativeFee).toBe(10n)
      })

      it('changes nothing when signing fails', async () => {
        const order = await openOrder(store)
        const reservation = await reserved(store, order, 0n, 10n)
        const failing = {
          ...commitmentOf(order, reservation, { fee: 10n }),
          sign: () => {
            throw new TypeError('no key')
          },
        }
        await expect(store.commit(reservation, failing)).rejects.toThrow()
        await store.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        expect((await present(order.orderId)).receiptCount).toBe(1n)
      })
    })

    describe('a process that died', () => {
      it('holds its reservations until its lease ends, and bills nothing', async () => {
        const dead = await another()
        const order = await openOrder(store, { amount: 10n })
        await reserved(dead, order, 0n, 10n)
        clock.advance(LEASE_MS - 1)
        expect((await store.reserve(wish(order, 1n, 1n))).status).toBe('exhausted')
        clock.advance(1)
        expect((await store.reserve(wish(order, 0n, 10n))).status).toBe('reserved')
        expect((await present(order.orderId)).cumulativeFee).toBe(0n)
      })

      it('cannot commit when it wakes up after its work was given to another', async () => {
        const paused = await another()
        const order = await openOrder(store, { amount: 10n })
        const stale = await reserved(paused, order, 0n, 10n)
        clock.advance(LEASE_MS)
        const fresh = await reserved(store, order, 0n, 10n)
        await expect(paused.commit(stale, commitmentOf(order, stale, { fee: 10n }))).rejects.toBeInstanceOf(
          ReservationLostError,
        )
        await paused.abandon(stale) // must not give back what is another's now
        await store.commit(fresh, commitmentOf(order, fresh, { fee: 10n }))
        expect((await present(order.orderId)).cumulativeFee).toBe(10n)
      })

      it('is not taken for dead while it says that it lives', async () => {
        const slow = await another()
        const order = await openOrder(store, { amount: 10n })
        const reservation = await reserved(slow, order, 0n, 10n)
        for (let i = 0; i < 5; i++) {
          clock.advance(LEASE_MS - 1)
          await slow.heartbeat()
          await store.heartbeat()
        }
        await slow.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        expect((await present(order.orderId)).cumulativeFee).toBe(10n)
      })
    })

    describe('the lane', () => {
      it('belongs to one process at a time', async () => {
        const other = await another()
        const lease = await lane()
        expect(await other.holdLane()).toBeUndefined()
        await store.releaseLane(lease)
        expect(await other.holdLane()).toBeDefined()
      })

      it('passes on when its holder died, and the old holder writes nothing any more', async () => {
        const other = await another()
        const order = await openOrder(store)
        const stale = await lane()
        clock.advance(LEASE_MS)
        await lane(other)
        const late = store.recordEntry(stale, {
          kind: 'claim',
          nonce: 0,
          data: '0x',
          gasLimit: 1n,
          settlements: [],
          attempt: ATTEMPT,
        })
        await expect(late).rejects.toBeInstanceOf(LaneLostError)
        await expect(store.planSettlements(stale, [{ orderId: order.orderId, close: 'idle' }])).rejects.toBeInstanceOf(
          LaneLostError,
        )
        expect(await store.entries()).toEqual([])
      })
    })

    describe('planSettlements', () => {
      it('closes no order that a request runs on, and none after the close is planned', async () => {
        const order = await openOrder(store)
        await commit(order, 0n, 10n)
        const running = await reserved(store, order, 1n, 10n)
        const lease = await lane()
        const [open] = await store.planSettlements(lease, [{ orderId: order.orderId, close: 'idle' }])
        expect(open).toMatchObject({ close: false, cumulativeFee: 10n })
        await store.abandon(running)
        const [closed] = await store.planSettlements(lease, [{ orderId: order.orderId, close: 'idle' }])
        expect(closed).toMatchObject({ close: true, cumulativeFee: 10n })
        expect((await store.reserve(wish(order, 1n, 1n))).status).toBe('closing')
      })

      it('plans an unused order only to close it, with the empty root', async () => {
        const order = await openOrder(store)
        const lease = await lane()
        expect(await store.planSettlements(lease, [{ orderId: order.orderId, close: undefined }])).toEqual([])
        const [row] = await store.planSettlements(lease, [{ orderId: order.orderId, close: 'requested' }])
        expect(row).toMatchObject({ cumulativeFee: 0n, receiptsRoot: EMPTY_ROOT, receiptCount: 0n, close: true })
      })

      it('leaves out an order that is in flight', async () => {
        const order = await openOrder(store)
        await commit(order, 0n, 10n)
        const lease = await lane()
        const settlements = await store.planSettlements(lease, [{ orderId: order.orderId, close: undefined }])
        await store.recordEntry(lease, {
          kind: 'settle',
          nonce: 0,
          data: '0x',
          gasLimit: 1n,
          settlements,
          attempt: ATTEMPT,
        })
        expect(await store.planSettlements(lease, [{ orderId: order.orderId, close: undefined }])).toEqual([])
      })
    })

    describe('the outbox', () => {
      it('shows a written transaction to the process that comes after', async () => {
        const lease = await lane()
        await store.recordEntry(lease, {
          kind: 'claim',
          nonce: 5,
          data: '0xabcd',
          gasLimit: 9n,
          settlements: [],
          attempt: ATTEMPT,
        })
        const [entry] = await (await another()).pendingEntries()
        expect(entry).toMatchObject({ kind: 'claim', nonce: 5, data: '0xabcd', gasLimit: 9n, attempts: [ATTEMPT] })
      })

      it('gives no nonce out twice', async () => {
        const lease = await lane()
        const entry = { kind: 'claim', nonce: 5, data: '0x', gasLimit: 9n, settlements: [] } as const
        await store.recordEntry(lease, { ...entry, attempt: ATTEMPT })
        await expect(store.recordEntry(lease, { ...entry, attempt: { ...ATTEMPT, hash: hash('b') } })).rejects.toThrow()
      })

      it('books a settlement once, and takes it back after a reorg', async () => {
        const order = await openOrder(store)
        await commit(order, 0n, 10n)
        const id = await settle(order, { cumulativeFee: 10n, block: 7 })
        expect(await present(order.orderId)).toMatchObject({
          released: 10n,
          inFlight: false,
          unsettledSinceMs: undefined,
        })

        const lease = await lane()
        await store.unbook(lease, id)
        await store.noteSnapshot(order.orderId, openSnapshot(1_000n, { released: 0n, blockNumber: 3 }))
        const after = await present(order.orderId)
        expect(after).toMatchObject({ released: 0n, inFlight: true })
        expect(after.unsettledSinceMs).toBeDefined()
        expect(await store.pendingEntries()).toHaveLength(1)
      })
    })

    async function settle(
      order: StoredOrder,
      result: { readonly cumulativeFee: bigint; readonly block: number },
    ): Promise<number> {
      const lease = await lane()
      const settlements = await store.planSettlements(lease, [{ orderId: order.orderId, close: undefined }])
      const entry = await store.recordEntry(lease, {
        kind: 'settle',
        nonce: 0,
        data: '0x',
        gasLimit: 1n,
        settlements,
        attempt: ATTEMPT,
      })
      const { orderId } = order
      const row = { orderId, outcome: 'settled', settled: true, closed: false, cumulativeFee: result.cumulativeFee }
      const block = { number: result.block, hash: ZERO_BYTES32 }
      await store.book(lease, { id: entry.id, booking: { state: 'confirmed', block, rows: [row] } })
      await store.book(lease, { id: entry.id, booking: { state: 'confirmed', block, rows: [row] } })
      return entry.id
    }
  })
}
