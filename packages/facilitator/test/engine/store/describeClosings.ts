import { describe, expect, it } from 'vitest'
import {
  START_MS,
  BLOCK,
  NOW,
  ALL,
  CLAIM_BY,
  bytes32,
  opening,
  wish,
  capture,
  reading,
  type BooksFactory,
  useBooks,
} from './books.js'

/** Captures, orders that are over, and what is told of both. */
export function describeClosings(name: string, create: () => Promise<BooksFactory>): void {
  describe(`the closings of ${name}`, () => {
    const books = useBooks(create)

    describe('captures', () => {
      it('wait for the opening, and are then taken together', async () => {
        const lease = await books().lane()
        await books().store.enqueue(wish(opening(1)))
        expect(await books().store.enqueueCapture(capture(opening(1), 5n))).toEqual({ status: 'queued' })
        expect(await books().store.takeCaptures(lease, ALL)).toEqual([])
        await books().store.note(lease, [reading(opening(1), 'open')])
        const [order] = await books().store.takeCaptures(lease, ALL)
        expect(order?.capture).toEqual(capture(opening(1), 5n))
      })

      it('are due once one has waited, or is urgent, or there are enough', async () => {
        await books().openOrder(1)
        const lease = await books().lane()
        await books().store.enqueueCapture(capture(opening(1), 5n))
        const early = { limit: 2, queuedByMs: START_MS - 1, urgentBy: CLAIM_BY - 1 }
        expect(await books().store.takeCaptures(lease, early)).toEqual([])
        expect(await books().store.takeCaptures(lease, { ...early, queuedByMs: START_MS })).toHaveLength(1)
        expect(await books().store.takeCaptures(lease, { ...early, urgentBy: CLAIM_BY })).toHaveLength(1)
        expect(await books().store.takeCaptures(lease, { ...early, limit: 1 })).toHaveLength(1)
      })

      it('are queued once: the same again is no other, and another is refused', async () => {
        await books().openOrder(1)
        expect(await books().store.enqueueCapture(capture(opening(1), 5n))).toEqual({ status: 'queued' })
        expect(await books().store.enqueueCapture(capture(opening(1), 5n))).toEqual({ status: 'queued' })
        expect(await books().store.enqueueCapture(capture(opening(1), 6n))).toEqual({ status: 'conflict' })
        expect(await books().store.enqueueCapture(capture(opening(9), 6n))).toEqual({ status: 'unknown' })
      })

      it('may come anew where one failed, but not while one is on its way', async () => {
        await books().openOrder(1)
        const lease = await books().lane()
        const { orderId } = opening(1)
        await books().store.enqueueCapture(capture(opening(1), 5n))
        await books().store.failCapture(lease, { orderId, reason: 'EvidenceRefused' })
        expect(await books().store.takeCaptures(lease, ALL)).toEqual([])
        expect(await books().store.enqueueCapture(capture(opening(1), 6n))).toEqual({ status: 'queued' })
        expect(await books().store.takeCaptures(lease, ALL)).toHaveLength(1)
        await books().record(lease, { ids: [orderId], kind: 'capture' })
        expect(await books().store.enqueueCapture(capture(opening(1), 7n))).toEqual({ status: 'conflict' })
      })

      it.each([
        ['with the fee that was captured', { fee: 5n }, 5n, 'done'],
        ['with the rest that went back', { refund: 995n }, 5n, 'done'],
        ['with another fee', { fee: 6n }, 6n, 'conflict'],
      ] as const)('end %s', async (_, ending, captured, status) => {
        await books().openOrder(1)
        const lease = await books().lane()
        await books().store.enqueueCapture(capture(opening(1), 5n))
        await books().store.takeCaptures(lease, ALL)
        const entry = await books().record(lease, { ids: [opening(1).orderId], kind: 'capture' })
        const readings = [reading(opening(1), 'closed', { ...ending, transaction: bytes32(6) })]
        await books().store.book(lease, { id: entry?.id ?? '', block: BLOCK, readings, maxTries: 9 })
        expect(await books().store.order(opening(1).orderId)).toMatchObject({
          chain: 'closed',
          captured,
          isClosing: false,
        })
        expect(await books().store.enqueueCapture(capture(opening(1), 5n))).toMatchObject({ status })
      })

      it('of nothing take an opening back that is not written yet', async () => {
        const lease = await books().lane()
        await books().store.enqueue(wish(opening(1)))
        expect(await books().store.enqueueCapture(capture(opening(1), 0n))).toEqual({
          status: 'done',
          transaction: undefined,
        })
        expect(await books().store.takeOpenings(lease, NOW)).toEqual([])
        expect(await books().store.enqueueCapture(capture(opening(1), 0n))).toEqual({
          status: 'done',
          transaction: undefined,
        })
        expect(await books().store.enqueueCapture(capture(opening(1), 1n))).toEqual({ status: 'unknown' })
        expect(await books().store.order(opening(1).orderId)).toMatchObject({ refused: 'TakenBack' })
      })

      it('of nothing wait where the opening is written', async () => {
        const lease = await books().lane()
        await books().store.enqueue(wish(opening(1)))
        await books().store.takeOpenings(lease, NOW)
        await books().record(lease, { ids: [opening(1).orderId] })
        expect(await books().store.enqueueCapture(capture(opening(1), 0n))).toEqual({ status: 'queued' })
      })

      it('have failed after too many failures on chain', async () => {
        await books().openOrder(1)
        const lease = await books().lane()
        await books().store.enqueueCapture(capture(opening(1), 5n))
        await books().store.takeCaptures(lease, ALL)
        const entry = await books().record(lease, { ids: [opening(1).orderId], kind: 'capture' })
        await books().store.book(lease, {
          id: entry?.id ?? '',
          block: BLOCK,
          readings: [reading(opening(1), 'open')],
          maxTries: 1,
        })
        expect(await books().store.order(opening(1).orderId)).toMatchObject({
          captureFailure: 'CaptureFailed',
          chain: 'open',
        })
        expect(await books().store.counts()).toMatchObject({ failedCaptures: 1, queuedCaptures: 0, openOrders: 1 })
      })

      it('that fail on chain and are queued anew again and again have gas spent on them a few times only', async () => {
        await books().openOrder(1)
        const { store } = books()
        const lease = await books().lane()
        const { orderId } = opening(1)
        let sent = 0
        for (let fee = 1n; fee <= 100n; fee++) {
          const outcome = await store.enqueueCapture(capture(opening(1), fee))
          if (outcome.status === 'failed') break
          while ((await store.takeCaptures(lease, ALL)).length > 0) {
            const entry = await books().record(lease, { ids: [orderId], kind: 'capture', nonce: sent++ })
            const readings = [reading(opening(1), 'open')]
            await store.book(lease, { id: entry?.id ?? '', block: BLOCK, readings, maxTries: 3 })
          }
        }
        expect(sent).toBe(10)
        expect(await store.enqueueCapture(capture(opening(1), 5n))).toEqual({ status: 'failed' })
        expect(await store.order(orderId)).toMatchObject({ captureFailure: 'CaptureFailed', chain: 'open' })
      })
    })

    describe('orders that are over', () => {
      it('are taken from claimBy on, unless a capture is queued', async () => {
        const lease = await books().lane()
        for (const n of [1, 2, 3]) await books().openOrder(n)
        await books().store.enqueueCapture(capture(opening(2), 5n))
        await books().store.enqueueCapture(capture(opening(3), 5n))
        await books().store.failCapture(lease, { orderId: opening(3).orderId, reason: 'RowSkipped' })
        expect(await books().store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY - 1 })).toEqual([])
        const taken = await books().store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY })
        expect(taken.map(({ orderId }) => orderId).sort()).toEqual([opening(1).orderId, opening(3).orderId])
        expect(await books().record(lease, { ids: taken.map(({ orderId }) => orderId), kind: 'reclaim' })).toBeDefined()
        expect(await books().store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY })).toEqual([])
      })

      it('are taken too where they were refused, until it is known that nobody opened them', async () => {
        const lease = await books().lane()
        const { orderId } = opening(1)
        await books().store.enqueue(wish(opening(1)))
        await books().store.refuse(lease, { orderId, reason: 'InvalidNonce' })
        expect(await books().store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY })).toHaveLength(1)
        await books().store.end(lease, orderId)
        expect(await books().store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY })).toEqual([])
      })
    })

    it('tells the orders that are decided from those that are under way', async () => {
      const lease = await books().lane()
      for (const n of [1, 2, 3, 4]) await books().store.enqueue(wish(opening(n)))
      await books().store.note(lease, [reading(opening(1), 'open')])
      await books().store.refuse(lease, { orderId: opening(2).orderId, reason: 'InvalidNonce' })
      await books().store.enqueueCapture(capture(opening(3), 5n))
      const ids = [1, 2, 3, 4, 5].map((n) => opening(n).orderId)
      expect((await books().store.decided(ids)).map(({ orderId }) => orderId).sort()).toEqual(ids.slice(0, 3))
      expect(await books().store.decided([])).toEqual([])
    })

    it('counts what there is', async () => {
      const lease = await books().lane()
      await books().openOrder(1)
      await books().store.enqueueCapture(capture(opening(1), 5n))
      for (const n of [2, 3]) await books().store.enqueue(wish(opening(n)))
      await books().store.takeOpenings(lease, { ...NOW, limit: 1 })
      books().nowMs += 500
      await books().record(lease, { ids: [opening(2).orderId] })
      expect(await books().store.counts()).toEqual({
        queuedOpenings: 1,
        openOrders: 1,
        queuedCaptures: 1,
        failedCaptures: 0,
        pendingTransactions: 1,
        oldestPendingMs: START_MS + 500,
      })
    })
  })
}
