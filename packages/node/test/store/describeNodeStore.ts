import { WrongChainError } from '@opg/operator'
import { type SignedVoucher, receiptLeaf, rootOfLeaves } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { FeeOverReservationError, ReservationLostError } from '../../src/errors.js'
import { IDENTITY, commitmentOf, hash, openOrder, openSnapshot, reserved, wish } from '../support/books.js'
import type { StoredOrder } from '../../src/store/types.js'
import { type CreateStore, LEASE_MS, setUpBooks } from './storeFixture.js'

/** What every store of a node must do with orders, reservations and receipts. */
export function describeNodeStore(name: string, create: CreateStore): void {
  describe(name, () => {
    const t = setUpBooks(create)

    describe('opening', () => {
      it.each([
        ['another node', { ...IDENTITY, node: '0x9999999999999999999999999999999999999999' }],
        ['another escrow', { ...IDENTITY, escrow: '0x9999999999999999999999999999999999999999' }],
        ['the wrong chain', { ...IDENTITY, chainId: 1n }],
      ] as const)('refuses the books of %s', async (_, identity) => {
        await expect(t.another(identity)).rejects.toBeInstanceOf(WrongChainError)
      })
    })

    describe('orders', () => {
      it('keeps every bit of amounts of 96 bits (N7)', async () => {
        const amount = 2n ** 96n - 1n
        const order = await openOrder(t.store, { amount, nonce: 2n ** 256n - 1n })
        await t.commit(order, 2n ** 64n - 1n, amount - 1n)
        const read = await (await t.another()).order(order.orderId)
        expect(read?.order).toEqual(order.order)
        expect(read?.cumulativeFee).toBe(amount - 1n)
        expect((await t.store.reserve(wish(order, 1n, 2n))).status).toBe('exhausted')
        expect((await t.store.reserve(wish(order, 1n, 1n))).status).toBe('reserved')
      })

      it('keeps its receipts when the same order is admitted again', async () => {
        const order = await openOrder(t.store)
        await t.commit(order, 0n, 10n)
        const again = await t.store.putOrder({ ...order, snapshot: openSnapshot(1_000n) })
        expect(again.cumulativeFee).toBe(10n)
        expect(again.receiptCount).toBe(1n)
      })

      it('does not let an older look at the chain undo a booking', async () => {
        const order = await openOrder(t.store)
        await t.commit(order, 0n, 10n)
        await t.settle(order, { cumulativeFee: 10n, block: 7 })
        await t.store.noteSnapshot(order.orderId, openSnapshot(1_000n, { released: 0n, blockNumber: 6 }))
        expect((await t.present(order.orderId)).released).toBe(10n)
        await t.store.noteSnapshot(order.orderId, openSnapshot(1_000n, { released: 4n, blockNumber: 8 }))
        expect((await t.present(order.orderId)).released).toBe(4n)
      })
    })

    describe('reserve', () => {
      it('admits up to the last base unit and not one more', async () => {
        const order = await openOrder(t.store, { amount: 100n })
        expect((await t.store.reserve(wish(order, 0n, 101n))).status).toBe('exhausted')
        expect((await t.store.reserve(wish(order, 0n, 100n))).status).toBe('reserved')
        expect(await t.store.reserve(wish(order, 1n, 1n))).toEqual({ status: 'exhausted', free: 0n })
      })

      it('counts what the chain released where that is more than the books', async () => {
        const order = await openOrder(t.store, { amount: 100n })
        await t.store.noteSnapshot(order.orderId, openSnapshot(100n, { released: 60n, blockNumber: 2 }))
        expect(await t.store.reserve(wish(order, 0n, 41n))).toEqual({ status: 'exhausted', free: 40n })
      })

      it('never admits more than the order holds, under many parallel requests of two processes', async () => {
        const order = await openOrder(t.store, { amount: 100n })
        const other = await t.another()
        const wishes = Array.from({ length: 60 }, (_, i) =>
          (i % 2 === 0 ? t.store : other).reserve(wish(order, BigInt(i), 7n)),
        )
        const outcomes = await Promise.all(wishes)
        expect(outcomes.filter((outcome) => outcome.status === 'reserved')).toHaveLength(14)
        expect((await t.present(order.orderId)).reserved).toBe(98n)
      })

      it('gives the stored answer to the same request', async () => {
        const order = await openOrder(t.store)
        await t.commit(order, 3n, 10n)
        const outcome = await (await t.another()).reserve(wish(order, 3n, 10n))
        expect(outcome.status).toBe('answered')
        if (outcome.status === 'answered') expect(new TextDecoder().decode(outcome.answer.body)).toBe('answer')
      })

      it('knows the answer with the highest seq, whatever its index', async () => {
        const order = await openOrder(t.store)
        expect(await t.store.lastAnswer(order.orderId)).toBeUndefined()
        await t.commit(order, 3n, 10n)
        await t.commit(order, 1n, 20n)
        const last = await (await t.another()).lastAnswer(order.orderId)
        expect(last?.signedReceipt.receipt).toMatchObject({ seq: 1n, fee: 20n })
        expect(last).toEqual(await t.store.answer(order.orderId, 1n))
      })

      it('refuses another request under an index that is running or answered', async () => {
        const order = await openOrder(t.store)
        await reserved(t.store, order, 0n, 10n)
        await t.commit(order, 1n, 10n)
        for (const index of [0n, 1n]) {
          expect((await t.store.reserve({ ...wish(order, index, 10n), requestId: hash('other') })).status).toBe(
            'conflict',
          )
        }
      })

      it('does not run the same request twice at once, in another process neither', async () => {
        const order = await openOrder(t.store)
        await reserved(t.store, order, 0n, 10n)
        expect((await (await t.another()).reserve(wish(order, 0n, 10n))).status).toBe('in-progress')
      })

      it('lets a failed request run again', async () => {
        const order = await openOrder(t.store, { amount: 10n })
        await t.store.abandon(await reserved(t.store, order, 0n, 10n))
        expect((await t.store.reserve(wish(order, 0n, 10n))).status).toBe('reserved')
      })

      it('admits one request to an order that pays for one', async () => {
        const order = await openOrder(t.store, {
          job: { requester: '0x5555555555555555555555555555555555555555', requestHash: hash('pinned') },
        })
        const reservation = await reserved(t.store, order, 0n, 10n)
        expect((await t.store.reserve(wish(order, 1n, 10n))).status).toBe('in-progress')
        await t.store.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        expect((await t.store.reserve(wish(order, 1n, 10n))).status).toBe('exhausted')
      })

      it('admits nothing to an order that is closing, closed, missing or unknown', async () => {
        const closing = await openOrder(t.store)
        await t.store.startClosing(closing.orderId, 'requested')
        expect(await t.store.reserve(wish(closing, 0n, 1n))).toEqual({ status: 'closing', reason: 'requested' })
        const closed = await openOrder(t.store)
        await t.store.noteSnapshot(closed.orderId, openSnapshot(1_000n, { state: 'closed', blockNumber: 2 }))
        expect((await t.store.reserve(wish(closed, 0n, 1n))).status).toBe('not-open')
        const missing = await openOrder(t.store)
        await t.store.noteSnapshot(missing.orderId, openSnapshot(0n, { state: 'missing', blockNumber: 2 }))
        expect((await t.store.reserve(wish(missing, 0n, 1n))).status).toBe('not-open')
        expect((await t.store.reserve({ ...wish(closed, 0n, 1n), orderId: hash('none') })).status).toBe('unknown')
      })
    })

    describe('vouchers', () => {
      const voucherOf = (order: StoredOrder, maxCumulativeFee: bigint): SignedVoucher => ({
        voucher: { orderId: order.orderId, node: IDENTITY.node, maxCumulativeFee },
        signature: `0x${'11'.repeat(65)}`,
      })

      it.each([
        [99n, 'voucher-too-low'],
        [100n, 'reserved'],
        [101n, 'reserved'],
      ])('must cover what is billed, what is reserved and the request: %d of 100', async (allowed, status) => {
        const order = await openOrder(t.store)
        await t.commit(order, 0n, 50n)
        await reserved(t.store, order, 1n, 30n)
        const voucher = voucherOf(order, allowed)
        expect((await t.store.reserve({ ...wish(order, 2n, 20n), voucher })).status).toBe(status)
        expect((await t.present(order.orderId)).voucher).toEqual(status === 'reserved' ? voucher : undefined)
      })

      it('keeps the highest, also when they arrive out of order', async () => {
        const order = await openOrder(t.store)
        expect((await t.store.reserve({ ...wish(order, 1n, 10n), voucher: voucherOf(order, 20n) })).status).toBe(
          'reserved',
        )
        expect((await t.store.reserve({ ...wish(order, 0n, 10n), voucher: voucherOf(order, 10n) })).status).toBe(
          'reserved',
        )
        expect(await (await t.another()).order(order.orderId)).toMatchObject({ voucher: voucherOf(order, 20n) })
        const third = await t.store.reserve({ ...wish(order, 2n, 1n), voucher: voucherOf(order, 20n) })
        expect(third).toEqual({ status: 'voucher-too-low', needed: 21n })
      })

      it('keeps none of a request that was not admitted', async () => {
        const order = await openOrder(t.store, { amount: 10n })
        expect((await t.store.reserve({ ...wish(order, 0n, 11n), voucher: voucherOf(order, 99n) })).status).toBe(
          'exhausted',
        )
        expect((await t.present(order.orderId)).voucher).toBeUndefined()
      })
    })

    describe('commit', () => {
      it('numbers receipts without gaps and adds fees up, whatever the order of finishing (F12)', async () => {
        const order = await openOrder(t.store)
        const reservations = await Promise.all([0n, 1n, 2n, 3n].map((index) => reserved(t.store, order, index, 100n)))
        const [a, b, c, d] = reservations
        if (a === undefined || b === undefined || c === undefined || d === undefined) throw new TypeError('missing')
        await t.store.commit(c, commitmentOf(order, c, { fee: 5n }))
        await t.store.abandon(b)
        await t.store.commit(a, commitmentOf(order, a, { fee: 0n }))
        await t.store.commit(d, commitmentOf(order, d, { fee: 7n }))
        const receipts = (await t.store.receipts(order.orderId, { from: 0n, limit: 10 })).map(({ receipt }) => receipt)
        expect(receipts.map(({ seq, cumulativeFee }) => [seq, cumulativeFee])).toEqual([
          [0n, 5n],
          [1n, 5n],
          [2n, 12n],
        ])
        const after = await t.present(order.orderId)
        expect(after.cumulativeFee).toBe(12n)
        expect(after.reserved).toBe(0n)
        const [plan] = await t.store.planSettlements(await t.lane(), [{ orderId: order.orderId, close: undefined }])
        expect(plan?.receiptsRoot).toBe(rootOfLeaves(receipts.map(receiptLeaf)))
        expect(plan?.receiptCount).toBe(3n)
      })

      it('refuses a fee over the reservation and keeps the books as they were', async () => {
        const order = await openOrder(t.store)
        const reservation = await reserved(t.store, order, 0n, 10n)
        const tooMuch = t.store.commit(reservation, commitmentOf(order, reservation, { fee: 11n }))
        await expect(tooMuch).rejects.toBeInstanceOf(FeeOverReservationError)
        expect((await t.present(order.orderId)).receiptCount).toBe(0n)
        expect((await t.present(order.orderId)).reserved).toBe(10n)
      })

      it('takes a reservation once', async () => {
        const order = await openOrder(t.store)
        const reservation = await reserved(t.store, order, 0n, 10n)
        await t.store.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        const again = t.store.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        await expect(again).rejects.toBeInstanceOf(ReservationLostError)
        expect((await t.present(order.orderId)).cumulativeFee).toBe(10n)
      })

      it('changes nothing when signing fails (F12)', async () => {
        const order = await openOrder(t.store)
        const reservation = await reserved(t.store, order, 0n, 10n)
        const failing = {
          ...commitmentOf(order, reservation, { fee: 10n }),
          sign: () => {
            throw new TypeError('no key')
          },
        }
        await expect(t.store.commit(reservation, failing)).rejects.toThrow()
        await t.store.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        expect((await t.present(order.orderId)).receiptCount).toBe(1n)
      })
    })

    describe('a process that died', () => {
      it('holds its reservations until its lease ends, and bills nothing', async () => {
        const dead = await t.another()
        const order = await openOrder(t.store, { amount: 10n })
        await reserved(dead, order, 0n, 10n)
        t.clock.advance(LEASE_MS - 1)
        expect((await t.store.reserve(wish(order, 1n, 1n))).status).toBe('exhausted')
        t.clock.advance(1)
        expect((await t.store.reserve(wish(order, 0n, 10n))).status).toBe('reserved')
        expect((await t.present(order.orderId)).cumulativeFee).toBe(0n)
      })

      it('cannot commit when it wakes up after its work was given to another (F12)', async () => {
        const paused = await t.another()
        const order = await openOrder(t.store, { amount: 10n })
        const stale = await reserved(paused, order, 0n, 10n)
        t.clock.advance(LEASE_MS)
        const fresh = await reserved(t.store, order, 0n, 10n)
        await expect(paused.commit(stale, commitmentOf(order, stale, { fee: 10n }))).rejects.toBeInstanceOf(
          ReservationLostError,
        )
        await paused.abandon(stale) // must not give back what is another's now
        await t.store.commit(fresh, commitmentOf(order, fresh, { fee: 10n }))
        expect((await t.present(order.orderId)).cumulativeFee).toBe(10n)
      })

      it('is not taken for dead while it says that it lives', async () => {
        const slow = await t.another()
        const order = await openOrder(t.store, { amount: 10n })
        const reservation = await reserved(slow, order, 0n, 10n)
        for (let i = 0; i < 5; i++) {
          t.clock.advance(LEASE_MS - 1)
          await slow.heartbeat()
          await t.store.heartbeat()
        }
        await slow.commit(reservation, commitmentOf(order, reservation, { fee: 10n }))
        expect((await t.present(order.orderId)).cumulativeFee).toBe(10n)
      })
    })
  })
}
