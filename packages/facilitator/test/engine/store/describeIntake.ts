import { WrongChainError } from '@opg/operator'
import type { Address } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import type { EngineStore } from '../../../src/engine/store/types.js'
import {
  BLOCK,
  IDENTITY,
  LIMITS,
  NODE,
  NOW,
  OTHER_SENDER,
  PAYER,
  SENDER,
  bytes32,
  opening,
  reading,
  type BooksFactory,
  useBooks,
  wish,
} from './books.js'

/** What comes into the books from outside. */
export function describeIntake(name: string, create: () => Promise<BooksFactory>): void {
  describe(`the intake of ${name}`, () => {
    const books = useBooks(create)

    describe('opening', () => {
      it.each([
        ['another escrow', { ...IDENTITY, escrow: NODE }],
        ['another chain', { ...IDENTITY, chainId: 1n }],
      ] as const)('refuses the books of %s', async (_, identity) => {
        await expect(books().another({ identity })).rejects.toBeInstanceOf(WrongChainError)
      })

      it('refuses books of another version', async () => {
        const database = books().factory.open()
        await database.write('test', (sql) => sql.run(`UPDATE meta SET value = '2' WHERE name = 'schema version'`))
        await database.close()
        await expect(books().another()).rejects.toBeInstanceOf(WrongChainError)
      })
    })

    describe('enqueue', () => {
      it('keeps every bit of what it is given', async () => {
        const order = {
          ...opening(1),
          funding: {
            kind: 'upto',
            adapter: NODE,
            deadline: 2n ** 256n - 1n,
            claimWindow: 2 ** 32 - 1,
            validAfter: 2n ** 255n,
            signature: '0x00ff',
          },
          approval: { value: 2n ** 256n - 1n, deadline: 2n ** 200n, signature: '0xabcd' },
        } as const
        await books().store.enqueue(wish(order))
        expect((await (await books().another()).order(order.orderId))?.opening).toEqual(order)
      })

      it('knows the same attempt again, and says used to another', async () => {
        const first = wish(opening(1))
        expect(await books().store.enqueue(first)).toMatchObject({ status: 'queued' })
        expect(await books().store.enqueue(first)).toMatchObject({ status: 'known' })
        expect(await books().store.enqueue({ ...first, attempt: bytes32(99) })).toEqual({ status: 'used' })
      })

      it('gives an order to one attempt of many that come at once from two processes', async () => {
        const other = await books().another()
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, (_, i) =>
            (i % 2 === 0 ? books().store : other).enqueue({ ...wish(opening(1)), attempt: bytes32(i) }),
          ),
        )
        expect(outcomes.filter(({ status }) => status === 'queued')).toHaveLength(1)
        expect(outcomes.filter(({ status }) => status === 'used')).toHaveLength(19)
      })

      it('still says used of an order that was refused', async () => {
        await books().store.enqueue(wish(opening(1)))
        await books().store.refuse(await books().lane(), { orderId: opening(1).orderId, reason: 'InvalidNonce' })
        expect(await books().store.enqueue({ ...wish(opening(1)), attempt: bytes32(99) })).toEqual({ status: 'used' })
        expect(await books().store.enqueue(wish(opening(1)))).toMatchObject({ order: { refused: 'InvalidNonce' } })
      })

      it('takes as many of a payer, and in all, as the limits allow, under parallel calls of two processes', async () => {
        const other = await books().another()
        const limits = { ...LIMITS, maxUnopened: 5, maxUnopenedOfPayer: 3 }
        const put = (n: number, payer: Address): ReturnType<EngineStore['enqueue']> =>
          (n % 2 === 0 ? books().store : other).enqueue({ ...wish(opening(n, { payer })), limits })
        const ofOne = await Promise.all([1, 2, 3, 4, 5].map((n) => put(n, PAYER)))
        expect(ofOne.filter(({ status }) => status === 'queued')).toHaveLength(3)
        expect(ofOne).toContainEqual({ status: 'limited', limit: { name: 'maxUnopenedOfPayer', limit: 3, found: 3 } })
        expect(await put(11, NODE)).toMatchObject({ status: 'queued' })
        expect(await put(12, NODE)).toMatchObject({ status: 'queued' })
        expect(await put(13, NODE)).toEqual({ status: 'limited', limit: { name: 'maxUnopened', limit: 5, found: 5 } })
      })

      it('stops for an hour who has orders opened that earn nothing: a payer at once, a node once they are over', async () => {
        const limits = { ...LIMITS, maxUnpaidOfPayer: 2, maxUnpaidOfNode: 3 }
        const { store } = books()
        const note = async (...readings: Parameters<EngineStore['note']>[1]): Promise<void> => {
          await store.note(await books().lane(), readings)
        }
        const put = async (n: number, payer: Address): Promise<string> => {
          const outcome = await store.enqueue({ ...wish(opening(n, { payer })), limits })
          if (outcome.status === 'queued') await note(reading(opening(n), 'open'))
          return outcome.status === 'limited' ? outcome.limit.name : outcome.status
        }
        const end = (n: number, fee: bigint): Promise<void> => note(reading(opening(n), 'closed', { fee }))
        expect([await put(1, PAYER), await put(2, PAYER), await put(3, PAYER)]).toEqual([
          'queued',
          'queued',
          'maxUnpaidOfPayer',
        ])
        await end(1, 9n) // of the least fee of 10
        expect(await put(3, PAYER)).toBe('maxUnpaidOfPayer')
        await end(2, 10n)
        expect(await put(3, PAYER)).toBe('queued')
        await end(3, 0n)
        expect(await put(4, SENDER)).toBe('queued')
        await end(4, 0n)
        expect(await put(5, OTHER_SENDER)).toBe('maxUnpaidOfNode') // orders 1, 3 and 4
        books().nowMs += 3_600_001
        expect([await put(5, OTHER_SENDER), await put(6, PAYER)]).toEqual(['queued', 'queued'])
      })

      it('counts openings that failed on chain too: who empties its wallet in front of each has gas spent on it', async () => {
        const limits = { ...LIMITS, maxUnpaidOfPayer: 1 }
        const { store } = books()
        const lease = await books().lane()
        await store.enqueue(wish(opening(1)))
        await store.refuse(lease, { orderId: opening(1).orderId, reason: 'TRANSFER_FROM_FAILED' }) // cost nothing
        expect(await store.enqueue({ ...wish(opening(2)), limits })).toMatchObject({ status: 'queued' })
        await store.takeOpenings(lease, NOW)
        const entry = await books().record(lease, { ids: [opening(2).orderId] })
        const readings = [reading(opening(2), 'none')]
        await store.book(lease, { id: entry?.id ?? '', block: BLOCK, readings, maxTries: 1 })
        expect(await store.order(opening(2).orderId)).toMatchObject({ refused: 'OpeningFailed' })
        const limited = { status: 'limited', limit: { name: 'maxUnpaidOfPayer' } }
        expect(await store.enqueue({ ...wish(opening(3)), limits })).toMatchObject(limited)
      })

      it('does not count what is open against the limits', async () => {
        await books().openOrder(1)
        const limits = { ...LIMITS, maxUnopened: 1, maxUnopenedOfPayer: 1 }
        expect(await books().store.enqueue({ ...wish(opening(2)), limits })).toMatchObject({ status: 'queued' })
      })
    })
  })
}
