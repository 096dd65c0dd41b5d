import type { Address } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import type { EngineStore, Limits } from '../../../src/engine/store/types.js'
import { type BooksFactory, LIMITS, START_MS, opening, reading, useBooks, wish } from './books.js'

const HOUR_MS = 3_600_000
const OTHER: Address = '0x6666666666666666666666666666666666666666'

/** How many orders there may be in an hour. */
export function describeLimits(name: string, create: () => Promise<BooksFactory>): void {
  describe(`the limits of ${name}`, () => {
    const books = useBooks(create)

    function put(
      n: number,
      limits: Partial<Limits>,
      { store = books().store, ...parties }: { store?: EngineStore; payer?: Address; node?: Address } = {},
    ): ReturnType<EngineStore['enqueue']> {
      return store.enqueue({ ...wish(opening(n, parties)), limits: { ...LIMITS, ...limits } })
    }

    it.each([
      ['maxUnpaidOfPayer', { node: OTHER }, { payer: OTHER }],
      ['maxOpeningsOfPayer', { node: OTHER }, { payer: OTHER }],
      ['maxOpeningsOfNode', { payer: OTHER }, { node: OTHER }],
    ] as const)('%s: the next is refused until an hour has passed, and others are not', async (limit, same, other) => {
      const limits = { [limit]: 2 }
      await put(1, limits)
      books().nowMs += 1_000
      await put(2, limits, same)
      const reached = { name: limit, limit: 2, found: 2, freeAtMs: START_MS + HOUR_MS }
      expect(await put(3, limits)).toEqual({ status: 'limited', limit: reached })
      expect(await put(3, limits, same)).toMatchObject({ status: 'limited' })
      expect(await put(4, limits, other)).toMatchObject({ status: 'queued' })
      books().nowMs = START_MS + HOUR_MS - 1
      expect(await put(3, limits)).toMatchObject({ status: 'limited' })
      books().nowMs += 1
      expect(await put(3, limits)).toMatchObject({ status: 'queued' })
      expect(await put(5, limits)).toMatchObject({ limit: { freeAtMs: START_MS + 1_000 + HOUR_MS } })
    })

    it('say when there is room also where the oldest order has ended', async () => {
      await put(1, {})
      for (const chain of ['open', 'closed'] as const) {
        await books().store.note(await books().lane(), [reading(opening(1), chain, { fee: 0n })])
      }
      books().nowMs += 1_000
      await put(2, {})
      for (const limits of [{ maxUnpaidOfPayer: 2 }, { maxUnpaidOfNode: 1 }]) {
        expect(await put(3, limits)).toMatchObject({ limit: { freeAtMs: START_MS + HOUR_MS } })
      }
    })

    it('of all orders count those that paid, too', async () => {
      await put(1, {})
      for (const chain of ['open', 'closed'] as const) {
        await books().store.note(await books().lane(), [reading(opening(1), chain, { fee: 10n ** 18n })])
      }
      expect(await put(2, { maxUnpaidOfPayer: 1, maxUnpaidOfNode: 1 })).toMatchObject({ status: 'queued' })
      expect(await put(3, { maxOpeningsOfPayer: 2 })).toMatchObject({ limit: { found: 2 } })
    })

    it('of 0 are none', async () => {
      const none = { maxUnpaidOfPayer: 0, maxUnpaidOfNode: 0, maxOpeningsOfPayer: 0, maxOpeningsOfNode: 0 }
      for (const n of [1, 2]) expect(await put(n, none)).toMatchObject({ status: 'queued' })
    })

    it('are shared by instances, and hold under parallel calls', async () => {
      const other = await books().another()
      const outcomes = await Promise.all(
        [1, 2, 3, 4, 5, 6].map((n) =>
          put(n, { maxOpeningsOfPayer: 3 }, { store: n % 2 === 0 ? books().store : other }),
        ),
      )
      expect(outcomes.filter(({ status }) => status === 'queued')).toHaveLength(3)
    })

    it('outlive a restart, and do not keep the same attempt from asking again', async () => {
      const limits = { maxOpeningsOfNode: 1 }
      await put(1, limits)
      const store = await books().another()
      expect(await put(2, limits, { store })).toMatchObject({ status: 'limited' })
      expect(await put(1, limits, { store })).toMatchObject({ status: 'known' })
    })
  })
}
