import { LaneLostError } from '@opg/operator'
import { describe, expect, it } from 'vitest'
import { LEASE_MS, START_MS, SENDER, OTHER_SENDER, NOW, opening, wish, type BooksFactory, useBooks } from './books.js'

/** Who may write transactions, and of which orders. */
export function describeLanes(name: string, create: () => Promise<BooksFactory>): void {
  describe(`the lanes of ${name}`, () => {
    const books = useBooks(create)

    describe('the lane', () => {
      it('has one holder until its lease is over, and then the next', async () => {
        const first = await books().lane()
        const other = await books().another()
        expect(await other.holdLane(SENDER)).toBeUndefined()
        books().nowMs += LEASE_MS - 1
        expect(await other.holdLane(SENDER)).toBeUndefined()
        books().nowMs += 1
        const second = await other.holdLane(SENDER)
        expect(second).toBeDefined()
        await expect(books().store.takeOpenings(first, NOW)).rejects.toBeInstanceOf(LaneLostError)
        await expect(books().record(first, { ids: [] })).rejects.toBeInstanceOf(LaneLostError)
      })

      it('is kept by renewing, under the same fence', async () => {
        const first = await books().lane()
        books().nowMs += LEASE_MS - 1
        expect(await books().store.holdLane(SENDER)).toEqual(first)
        books().nowMs += LEASE_MS - 1
        expect(await (await books().another()).holdLane(SENDER)).toBeUndefined()
      })

      it('is free at once when it is let go, and each key has its own', async () => {
        const other = await books().another()
        await books().lane()
        expect(await other.holdLane(OTHER_SENDER)).toBeDefined()
        await books().store.releaseLane(await books().lane())
        expect(await other.holdLane(SENDER)).toBeDefined()
      })

      it('has one holder of many that want it at once', async () => {
        const others = await Promise.all([books().another(), books().another(), books().another()])
        const leases = await Promise.all(others.map((each) => each.holdLane(SENDER)))
        expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1)
      })
    })

    describe('taking openings', () => {
      it('waits until the oldest has waited long enough, or there are enough of them', async () => {
        const lease = await books().lane()
        await books().store.enqueue(wish(opening(1)))
        expect(await books().store.takeOpenings(lease, { limit: 2, gatheredByMs: START_MS - 1 })).toEqual([])
        expect(await books().store.takeOpenings(lease, { limit: 2, gatheredByMs: START_MS })).toHaveLength(1)
        await books().store.enqueue(wish(opening(2)))
        expect(await books().store.takeOpenings(lease, { limit: 2, gatheredByMs: START_MS - 1 })).toHaveLength(2)
      })

      it('gives what is taken to no other lane, until its lease is over', async () => {
        await books().store.enqueue(wish(opening(1)))
        expect(await books().store.takeOpenings(await books().lane(), NOW)).toHaveLength(1)
        const other = await books().another()
        const second = await books().lane(other, OTHER_SENDER)
        expect(await other.takeOpenings(second, NOW)).toEqual([])
        books().nowMs += LEASE_MS
        await books().lane(other, OTHER_SENDER)
        expect(await other.takeOpenings(second, NOW)).toHaveLength(1)
      })

      it('leaves an order alone that rests', async () => {
        const lease = await books().lane()
        await books().store.enqueue(wish(opening(1)))
        await books().store.postpone(lease, { orderIds: [opening(1).orderId], delayMs: 100 })
        books().nowMs += 99
        expect(await books().store.takeOpenings(lease, NOW)).toEqual([])
        books().nowMs += 1
        expect(await books().store.takeOpenings(lease, NOW)).toHaveLength(1)
      })
    })
  })
}
