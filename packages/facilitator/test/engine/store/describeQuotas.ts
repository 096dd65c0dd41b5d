import type { Address } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import type { EngineStore, Quotas } from '../../../src/engine/store/types.js'
import {
  BLOCK,
  type BooksFactory,
  LIMITS,
  NODE,
  NOW,
  START_MS,
  bytes32,
  capture,
  opening,
  reading,
  useBooks,
  wish,
} from './books.js'

const WINDOW_MS = 3_600_000
const OTHER: Address = '0x6666666666666666666666666666666666666666'

/** How many openings there may be over time. */
export function describeQuotas(name: string, create: () => Promise<BooksFactory>): void {
  describe(`the quotas of ${name}`, () => {
    const books = useBooks(create)

    function put(
      n: number,
      quotas: Partial<Quotas>,
      { store = books().store, ...parties }: { store?: EngineStore; payer?: Address; node?: Address } = {},
    ): ReturnType<EngineStore['enqueue']> {
      const limits = { ...LIMITS, quotas: { ...LIMITS.quotas, ...quotas } }
      return store.enqueue({ ...wish(opening(n, parties)), limits })
    }

    /** Says that an order was opened, and closed with a fee. */
    async function close(n: number, fee: bigint): Promise<void> {
      const lease = await books().lane()
      await books().store.note(lease, [reading(opening(n), 'open')])
      await books().store.note(lease, [reading(opening(n), 'closed', { fee })])
    }

    it.each([
      ['maxOpeningsOfPayer', { node: OTHER }, { payer: OTHER }],
      ['maxOpeningsOfNode', { payer: OTHER }, { node: OTHER }],
      ['maxUnpaidOfPayer', { node: OTHER }, { payer: OTHER }],
      ['maxUnpaidOfNode', { payer: OTHER }, { node: OTHER }],
    ] as const)(
      '%s: the next is refused until the window has passed, and others are not',
      async (quota, same, other) => {
        const quotas = { [quota]: 2 }
        await put(1, quotas)
        books().nowMs += 1_000
        await put(2, quotas, same)
        const reached = { name: quota, limit: 2, found: 2, freeAtMs: START_MS + WINDOW_MS }
        expect(await put(3, quotas)).toEqual({ status: 'limited', reason: 'quota', quota: reached })
        expect(await put(3, quotas, same)).toMatchObject({ status: 'limited' })
        expect(await put(4, quotas, other)).toMatchObject({ status: 'queued' })
        books().nowMs = START_MS + WINDOW_MS - 1
        expect(await put(3, quotas)).toMatchObject({ status: 'limited' })
        books().nowMs += 1
        expect(await put(3, quotas)).toMatchObject({ status: 'queued' })
        expect(await put(5, quotas)).toMatchObject({ quota: { freeAtMs: START_MS + 1_000 + WINDOW_MS } })
      },
    )

    it('are shared by instances, and hold under parallel calls', async () => {
      const other = await books().another()
      const outcomes = await Promise.all(
        [1, 2, 3, 4, 5, 6].map((n) =>
          put(n, { maxOpeningsOfPayer: 3 }, { store: n % 2 === 0 ? books().store : other }),
        ),
      )
      expect(outcomes.filter(({ status }) => status === 'queued')).toHaveLength(3)
    })

    it('outlive a restart', async () => {
      await put(1, { maxUnpaidOfPayer: 1 })
      const restarted = await books().another()
      expect(await put(2, { maxUnpaidOfPayer: 1 }, { store: restarted })).toMatchObject({ status: 'limited' })
    })

    it('do not keep the same attempt from asking again', async () => {
      await put(1, { maxOpeningsOfPayer: 1 })
      expect(await put(1, { maxOpeningsOfPayer: 1 })).toMatchObject({ status: 'known' })
    })

    it('say what is found where a limit was lowered, and when there is room', async () => {
      for (const n of [1, 2, 3]) {
        await put(n, {})
        books().nowMs += 1_000
      }
      // Of three, two must leave.
      const reached = { limit: 2, found: 3, freeAtMs: START_MS + 1_000 + WINDOW_MS }
      expect(await put(4, { maxOpeningsOfNode: 2 })).toMatchObject({ quota: reached })
    })

    it('of unpaid openings leave out those whose fee was worth it, and count dust, releases and what is open', async () => {
      const quotas = { maxUnpaidOfPayer: 3 }
      for (const [n, fee] of [
        [1, 10n ** 15n],
        [2, 10n ** 15n - 1n],
        [3, 0n],
      ] as const) {
        await put(n, {})
        await close(n, fee)
      }
      expect(await put(4, quotas)).toMatchObject({ status: 'queued' })
      expect(await put(5, quotas)).toMatchObject({ quota: { name: 'maxUnpaidOfPayer', found: 3 } })
      await close(4, 10n ** 18n)
      expect(await put(5, quotas)).toMatchObject({ status: 'queued' })
    })

    it('of unpaid openings leave out one that others closed, with a fee that nobody knows any more', async () => {
      const quotas = { maxUnpaidOfPayer: 1 }
      await put(1, quotas)
      const lease = await books().lane()
      for (const state of ['open', 'closed'] as const) await books().store.note(lease, [reading(opening(1), state)])
      expect(await put(2, quotas)).toMatchObject({ status: 'queued' })
    })

    it('of unpaid openings count one again whose capture a reorg took', async () => {
      const quotas = { maxUnpaidOfPayer: 1 }
      await put(1, quotas)
      await close(1, 10n ** 18n)
      await books().store.note(await books().lane(), [reading(opening(1), 'open')])
      expect(await put(2, quotas)).toMatchObject({ status: 'limited' })
    })

    it('take another fee for worth it where the operator says so', async () => {
      const store = await books().another({ leastFee: 5n })
      const lease = await books().lane(store, OTHER)
      await put(1, {}, { store })
      for (const state of ['open', 'closed'] as const)
        await store.note(lease, [reading(opening(1), state, { fee: 5n })])
      expect(await put(2, { maxUnpaidOfPayer: 1 }, { store })).toMatchObject({ status: 'queued' })
    })

    it('count no opening that was taken back before it cost gas, and each that failed on chain', async () => {
      const quotas = { maxOpeningsOfPayer: 1, maxUnpaidOfPayer: 1 }
      const { store } = books()
      await put(1, quotas)
      await store.enqueueCapture(capture(opening(1), 0n))
      expect(await put(2, quotas)).toMatchObject({ status: 'queued' })
      const lease = await books().lane()
      await store.takeOpenings(lease, NOW)
      const entry = await books().record(lease, { ids: [opening(2).orderId] })
      const readings = [reading(opening(2), 'none')]
      await store.book(lease, { id: entry?.id ?? '', block: BLOCK, readings, maxTries: 1 })
      expect(await store.order(opening(2).orderId)).toMatchObject({ refused: 'OpeningFailed' })
      expect(await put(3, quotas)).toMatchObject({ status: 'limited', reason: 'quota' })
    })

    it('find books of the first version, and what was paid in them', async () => {
      await put(1, {})
      await close(1, 10n ** 18n)
      await put(2, {})
      const database = books().factory.open()
      await database.write('test', async (sql) => {
        for (const whose of ['payer', 'node']) await sql.run(`DROP INDEX unpaid_orders_of_${whose}`)
        await sql.run('ALTER TABLE orders DROP COLUMN paid')
        await sql.run(`UPDATE meta SET value = '1' WHERE name = 'schema version'`)
      })
      await database.close()
      const store = await books().another()
      expect(await put(3, { maxUnpaidOfNode: 2 }, { store })).toMatchObject({ status: 'queued' })
      expect(await put(4, { maxUnpaidOfNode: 2 }, { store })).toMatchObject({ quota: { found: 2 } })
      expect(await store.order(bytes32(1))).toMatchObject({ opening: { terms: { node: NODE } } })
    })
  })
}
