import { describe, expect, it } from 'vitest'
import { SENDER, BLOCK, NOW, bytes32, opening, wish, capture, reading, type BooksFactory, useBooks } from './books.js'

/** What is written, booked and taken back. */
export function describeTransactions(name: string, create: () => Promise<BooksFactory>): void {
  describe(`the transactions of ${name}`, () => {
    const books = useBooks(create)

    describe('a transaction', () => {
      it('is written for orders that were taken, once', async () => {
        const lease = await books().lane()
        const ids = [opening(1).orderId, opening(2).orderId]
        for (const n of [1, 2]) await books().store.enqueue(wish(opening(n)))
        expect(await books().record(lease, { ids })).toBeUndefined()
        await books().store.takeOpenings(lease, NOW)
        expect(await books().record(lease, { ids })).toMatchObject({
          kind: 'open',
          nonce: 0,
          orderIds: ids,
          attempts: { length: 1 },
        })
        expect(await books().record(lease, { ids, nonce: 1 })).toBeUndefined()
        expect(await books().store.takeOpenings(lease, NOW)).toEqual([])
        expect(await books().store.pendingEntries(SENDER)).toHaveLength(1)
        expect(await books().store.order(opening(1).orderId)).toMatchObject({ isOpening: true, chain: 'none' })
      })

      it('is not written when one of its orders was taken back meanwhile', async () => {
        const lease = await books().lane()
        for (const n of [1, 2]) await books().store.enqueue(wish(opening(n)))
        await books().store.takeOpenings(lease, NOW)
        expect(await books().store.enqueueCapture(capture(opening(2), 0n))).toEqual({
          status: 'done',
          transaction: undefined,
        })
        expect(await books().record(lease, { ids: [opening(1).orderId, opening(2).orderId] })).toBeUndefined()
        expect(await books().store.pendingEntries(SENDER)).toEqual([])
        expect(await books().store.takeOpenings(lease, NOW)).toHaveLength(1)
      })

      it('keeps its replacements in order', async () => {
        const lease = await books().lane()
        await books().store.enqueue(wish(opening(1)))
        await books().store.takeOpenings(lease, NOW)
        const entry = await books().record(lease, { ids: [opening(1).orderId] })
        const attempt = {
          hash: bytes32(77),
          raw: '0x0203',
          maxFeePerGas: 2n ** 100n,
          maxPriorityFeePerGas: 2n,
          signedAtMs: 1,
        } as const
        const replaced = await books().store.recordAttempt(lease, { id: entry?.id ?? '', attempt })
        expect(replaced.attempts[1]).toEqual(attempt)
        expect(replaced.attempts).toHaveLength(2)
      })

      it('moves its orders as the chain says, and lets those be tried again that it did not move', async () => {
        const lease = await books().lane()
        const [first, second] = [opening(1), opening(2)]
        for (const order of [first, second]) await books().store.enqueue(wish(order))
        await books().store.takeOpenings(lease, NOW)
        const entry = await books().record(lease, { ids: [first.orderId, second.orderId] })
        const readings = [reading(first, 'open', { transaction: bytes32(5) }), reading(second, 'none')]
        await books().store.book(lease, { id: entry?.id ?? '', block: BLOCK, readings, maxTries: 2 })
        expect(await books().store.order(first.orderId)).toMatchObject({
          chain: 'open',
          openedTx: bytes32(5),
          openedBlock: 7,
          tries: 0,
        })
        expect(await books().store.order(second.orderId)).toMatchObject({ chain: 'none', isOpening: false, tries: 1 })
        expect((await books().store.takeOpenings(lease, NOW)).map(({ orderId }) => orderId)).toEqual([second.orderId])
        const again = await books().record(lease, { ids: [second.orderId], nonce: 1 })
        await books().store.book(lease, {
          id: again?.id ?? '',
          block: BLOCK,
          readings: [reading(second, 'none')],
          maxTries: 2,
        })
        expect(await books().store.order(second.orderId)).toMatchObject({ refused: 'OpeningFailed' })
      })

      it('counts no failure where another transaction took its nonce', async () => {
        const lease = await books().lane()
        await books().store.enqueue(wish(opening(1)))
        await books().store.takeOpenings(lease, NOW)
        const entry = await books().record(lease, { ids: [opening(1).orderId] })
        const readings = [reading(opening(1), 'none')]
        await books().store.book(lease, { id: entry?.id ?? '', block: undefined, readings, maxTries: 1 })
        expect(await books().store.order(opening(1).orderId)).toMatchObject({
          refused: undefined,
          tries: 0,
          isOpening: false,
        })
      })

      it('is booked once', async () => {
        const lease = await books().lane()
        await books().store.enqueue(wish(opening(1)))
        await books().store.takeOpenings(lease, NOW)
        const entry = await books().record(lease, { ids: [opening(1).orderId] })
        const booking = { id: entry?.id ?? '', block: BLOCK, maxTries: 9 }
        await books().store.book(lease, { ...booking, readings: [reading(opening(1), 'open')] })
        await books().store.book(lease, { ...booking, readings: [reading(opening(1), 'none')] })
        expect(await books().store.order(opening(1).orderId)).toMatchObject({ chain: 'open' })
      })

      it('comes back after a reorg, with its orders', async () => {
        const lease = await books().lane()
        await books().store.enqueue(wish(opening(1)))
        await books().store.takeOpenings(lease, NOW)
        const entry = await books().record(lease, { ids: [opening(1).orderId], nonce: 4 })
        await books().store.book(lease, {
          id: entry?.id ?? '',
          block: BLOCK,
          readings: [reading(opening(1), 'open')],
          maxTries: 9,
        })
        expect(await books().store.bookedBlocks(8)).toEqual([])
        expect(await books().store.bookedBlocks(7)).toEqual([BLOCK])
        expect(await books().store.highestNonce(SENDER, 8)).toBeUndefined()
        expect(await books().store.highestNonce(SENDER, 7)).toBe(4)
        expect(await books().store.unbook(lease, BLOCK)).toEqual([opening(1).orderId])
        expect(await books().store.pendingEntries(SENDER)).toMatchObject([{ id: entry?.id }])
        await books().store.note(lease, [reading(opening(1), 'none')])
        expect(await books().store.order(opening(1).orderId)).toMatchObject({
          chain: 'none',
          isOpening: true,
          openedTx: undefined,
        })
        expect(await books().store.takeOpenings(lease, NOW)).toEqual([])
      })
    })
  })
}
