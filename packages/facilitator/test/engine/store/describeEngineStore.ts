import { LaneLostError, WrongChainError } from '@opg/operator'
import { type Address, type Hex, ZERO_ADDRESS, ZERO_BYTES32 } from '@opg/protocol'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openEngineStore } from '../../../src/engine/store/engineStore.js'
import type { SqlDatabase } from '../../../src/engine/store/sql.js'
import type { EngineStore, LaneLease, Reading } from '../../../src/engine/store/types.js'
import type { Capture, Opening } from '../../../src/engine/types.js'

/** How a kind of database is made: each call of `open` is a connection of another process. */
export interface BooksFactory {
  open(): SqlDatabase
  remove(): Promise<void>
}

const LEASE_MS = 10_000
const START_MS = 1_800_000_000_000
const IDENTITY = { escrow: '0x1111111111111111111111111111111111111111', chainId: 31_337n } as const
const SENDER: Address = '0x2222222222222222222222222222222222222222'
const OTHER_SENDER: Address = '0x3333333333333333333333333333333333333333'
const PAYER: Address = '0x4444444444444444444444444444444444444444'
const NODE: Address = '0x5555555555555555555555555555555555555555'
const LIMITS = {
  maxUnopened: 1_000,
  maxUnopenedOfPayer: 1_000,
  maxUnpaidOfPayer: 1_000,
  maxUnpaidOfNode: 1_000,
  leastFee: 10n,
}
const BLOCK = { number: 7, hash: bytes32(7) }
const NOW = { limit: 100, gatheredByMs: Number.MAX_SAFE_INTEGER }
const ALL = { limit: 100, queuedByMs: Number.MAX_SAFE_INTEGER, urgentBy: 0 }
const CLAIM_BY = 1_900_000_000

/** What the books of an engine must do, whatever database they are in. */
export function describeEngineStore(name: string, create: () => Promise<BooksFactory>): void {
  describe(name, () => {
    let factory: BooksFactory
    let store: EngineStore
    let nowMs = START_MS
    let opened: EngineStore[] = []

    async function another(
      identity: { readonly escrow: Address; readonly chainId: bigint } = IDENTITY,
    ): Promise<EngineStore> {
      const database = factory.open()
      try {
        const books = await openEngineStore({
          database,
          identity,
          clock: () => nowMs,
          random: randomBytes,
          leaseMs: LEASE_MS,
        })
        opened.push(books)
        return books
      } catch (error) {
        await database.close()
        throw error
      }
    }

    beforeEach(async () => {
      nowMs = START_MS
      factory = await create()
      store = await another()
    })
    afterEach(async () => {
      const all = opened
      opened = []
      for (const books of all) await books.close()
      await factory.remove()
    })

    async function lane(books = store, sender = SENDER): Promise<LaneLease> {
      const lease = await books.holdLane(sender)
      if (lease === undefined) throw new TypeError('the lane is taken')
      return lease
    }

    /** Writes a transaction for orders that were taken. */
    function record(
      lease: LaneLease,
      input: { readonly ids: readonly Hex[]; readonly kind?: 'open' | 'capture' | 'reclaim'; readonly nonce?: number },
      books = store,
    ): ReturnType<EngineStore['recordEntry']> {
      const { ids: orderIds, kind = 'open', nonce = 0 } = input
      const attempt = {
        hash: bytes32(1_000 + nonce),
        raw: '0x02',
        maxFeePerGas: 5n,
        maxPriorityFeePerGas: 1n,
        signedAtMs: nowMs,
      } as const
      return books.recordEntry(lease, { kind, nonce, data: '0x1234', gasLimit: 21_000n, orderIds, attempt })
    }

    /** An order that is open in the books. */
    async function openOrder(n: number): Promise<Opening> {
      const order = opening(n)
      await store.enqueue(wish(order))
      await store.note(await lane(), [reading(order, 'open')])
      return order
    }

    describe('opening', () => {
      it.each([
        ['another escrow', { ...IDENTITY, escrow: NODE }],
        ['another chain', { ...IDENTITY, chainId: 1n }],
      ] as const)('refuses the books of %s', async (_, identity) => {
        await expect(another(identity)).rejects.toBeInstanceOf(WrongChainError)
      })

      it('refuses books of another version', async () => {
        const database = factory.open()
        await database.write('test', (sql) => sql.run(`UPDATE meta SET value = '2' WHERE name = 'schema version'`))
        await database.close()
        await expect(another()).rejects.toBeInstanceOf(WrongChainError)
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
        await store.enqueue(wish(order))
        expect((await (await another()).order(order.orderId))?.opening).toEqual(order)
      })

      it('knows the same attempt again, and says used to another', async () => {
        const first = wish(opening(1))
        expect(await store.enqueue(first)).toMatchObject({ status: 'queued' })
        expect(await store.enqueue(first)).toMatchObject({ status: 'known' })
        expect(await store.enqueue({ ...first, attempt: bytes32(99) })).toEqual({ status: 'used' })
      })

      it('gives an order to one attempt of many that come at once from two processes', async () => {
        const other = await another()
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, (_, i) =>
            (i % 2 === 0 ? store : other).enqueue({ ...wish(opening(1)), attempt: bytes32(i) }),
          ),
        )
        expect(outcomes.filter(({ status }) => status === 'queued')).toHaveLength(1)
        expect(outcomes.filter(({ status }) => status === 'used')).toHaveLength(19)
      })

      it('still says used of an order that was refused', async () => {
        await store.enqueue(wish(opening(1)))
        await store.refuse(await lane(), { orderId: opening(1).orderId, reason: 'InvalidNonce' })
        expect(await store.enqueue({ ...wish(opening(1)), attempt: bytes32(99) })).toEqual({ status: 'used' })
        expect(await store.enqueue(wish(opening(1)))).toMatchObject({ order: { refused: 'InvalidNonce' } })
      })

      it('takes as many of a payer, and in all, as the limits allow, under parallel calls of two processes', async () => {
        const other = await another()
        const limits = { ...LIMITS, maxUnopened: 5, maxUnopenedOfPayer: 3 }
        const put = (n: number, payer: Address): ReturnType<EngineStore['enqueue']> =>
          (n % 2 === 0 ? store : other).enqueue({ ...wish(opening(n, { payer })), limits })
        const ofOne = await Promise.all([1, 2, 3, 4, 5].map((n) => put(n, PAYER)))
        expect(ofOne.filter(({ status }) => status === 'queued')).toHaveLength(3)
        expect(ofOne).toContainEqual({ status: 'limited', reason: 'payer' })
        expect(await put(11, NODE)).toMatchObject({ status: 'queued' })
        expect(await put(12, NODE)).toMatchObject({ status: 'queued' })
        expect(await put(13, NODE)).toEqual({ status: 'limited', reason: 'all' })
      })

      it('stops for an hour who has orders opened that earn nothing: a payer at once, a node once they are over', async () => {
        const limits = { ...LIMITS, maxUnpaidOfPayer: 2, maxUnpaidOfNode: 3 }
        const put = async (n: number, payer: Address): Promise<string> => {
          const outcome = await store.enqueue({ ...wish(opening(n, { payer })), limits })
          if (outcome.status === 'queued') await store.note(await lane(), [reading(opening(n), 'open')])
          return outcome.status === 'limited' ? outcome.reason : outcome.status
        }
        const end = async (n: number, fee: bigint): Promise<void> => {
          await store.note(await lane(), [reading(opening(n), 'closed', { fee })])
        }
        expect([await put(1, PAYER), await put(2, PAYER), await put(3, PAYER)]).toEqual([
          'queued',
          'queued',
          'unpaid-payer',
        ])
        await end(1, 9n) // of the least fee of 10
        expect(await put(3, PAYER)).toBe('unpaid-payer')
        await end(2, 10n)
        expect(await put(3, PAYER)).toBe('queued')
        await end(3, 0n)
        expect(await put(4, SENDER)).toBe('queued')
        await end(4, 0n)
        expect(await put(5, OTHER_SENDER)).toBe('unpaid-node') // orders 1, 3 and 4
        nowMs += 3_600_001
        expect([await put(5, OTHER_SENDER), await put(6, PAYER)]).toEqual(['queued', 'queued'])
      })

      it('counts openings that failed on chain too: who empties its wallet in front of each has gas spent on it', async () => {
        const limits = { ...LIMITS, maxUnpaidOfPayer: 1 }
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        await store.refuse(lease, { orderId: opening(1).orderId, reason: 'TRANSFER_FROM_FAILED' }) // cost nothing
        expect(await store.enqueue({ ...wish(opening(2)), limits })).toMatchObject({ status: 'queued' })
        await store.takeOpenings(lease, NOW)
        const entry = await record(lease, { ids: [opening(2).orderId] })
        const readings = [reading(opening(2), 'none')]
        await store.book(lease, { id: entry?.id ?? '', block: BLOCK, readings, maxTries: 1 })
        expect(await store.order(opening(2).orderId)).toMatchObject({ refused: 'OpeningFailed' })
        expect(await store.enqueue({ ...wish(opening(3)), limits })).toEqual({
          status: 'limited',
          reason: 'unpaid-payer',
        })
      })

      it('does not count what is open against the limits', async () => {
        await openOrder(1)
        const limits = { ...LIMITS, maxUnopened: 1, maxUnopenedOfPayer: 1 }
        expect(await store.enqueue({ ...wish(opening(2)), limits })).toMatchObject({ status: 'queued' })
      })
    })

    describe('the lane', () => {
      it('has one holder until its lease is over, and then the next', async () => {
        const first = await lane()
        const other = await another()
        expect(await other.holdLane(SENDER)).toBeUndefined()
        nowMs += LEASE_MS - 1
        expect(await other.holdLane(SENDER)).toBeUndefined()
        nowMs += 1
        const second = await other.holdLane(SENDER)
        expect(second).toBeDefined()
        await expect(store.takeOpenings(first, NOW)).rejects.toBeInstanceOf(LaneLostError)
        await expect(record(first, { ids: [] })).rejects.toBeInstanceOf(LaneLostError)
      })

      it('is kept by renewing, under the same fence', async () => {
        const first = await lane()
        nowMs += LEASE_MS - 1
        expect(await store.holdLane(SENDER)).toEqual(first)
        nowMs += LEASE_MS - 1
        expect(await (await another()).holdLane(SENDER)).toBeUndefined()
      })

      it('is free at once when it is let go, and each key has its own', async () => {
        const other = await another()
        await lane()
        expect(await other.holdLane(OTHER_SENDER)).toBeDefined()
        await store.releaseLane(await lane())
        expect(await other.holdLane(SENDER)).toBeDefined()
      })

      it('has one holder of many that want it at once', async () => {
        const others = await Promise.all([another(), another(), another()])
        const leases = await Promise.all(others.map((books) => books.holdLane(SENDER)))
        expect(leases.filter((lease) => lease !== undefined)).toHaveLength(1)
      })
    })

    describe('taking openings', () => {
      it('waits until the oldest has waited long enough, or there are enough of them', async () => {
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        expect(await store.takeOpenings(lease, { limit: 2, gatheredByMs: START_MS - 1 })).toEqual([])
        expect(await store.takeOpenings(lease, { limit: 2, gatheredByMs: START_MS })).toHaveLength(1)
        await store.enqueue(wish(opening(2)))
        expect(await store.takeOpenings(lease, { limit: 2, gatheredByMs: START_MS - 1 })).toHaveLength(2)
      })

      it('gives what is taken to no other lane, until its lease is over', async () => {
        await store.enqueue(wish(opening(1)))
        expect(await store.takeOpenings(await lane(), NOW)).toHaveLength(1)
        const other = await another()
        const second = await lane(other, OTHER_SENDER)
        expect(await other.takeOpenings(second, NOW)).toEqual([])
        nowMs += LEASE_MS
        await lane(other, OTHER_SENDER)
        expect(await other.takeOpenings(second, NOW)).toHaveLength(1)
      })

      it('leaves an order alone that rests', async () => {
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        await store.postpone(lease, { orderIds: [opening(1).orderId], delayMs: 100 })
        nowMs += 99
        expect(await store.takeOpenings(lease, NOW)).toEqual([])
        nowMs += 1
        expect(await store.takeOpenings(lease, NOW)).toHaveLength(1)
      })
    })

    describe('a transaction', () => {
      it('is written for orders that were taken, once', async () => {
        const lease = await lane()
        const ids = [opening(1).orderId, opening(2).orderId]
        for (const n of [1, 2]) await store.enqueue(wish(opening(n)))
        expect(await record(lease, { ids })).toBeUndefined()
        await store.takeOpenings(lease, NOW)
        expect(await record(lease, { ids })).toMatchObject({
          kind: 'open',
          nonce: 0,
          orderIds: ids,
          attempts: { length: 1 },
        })
        expect(await record(lease, { ids, nonce: 1 })).toBeUndefined()
        expect(await store.takeOpenings(lease, NOW)).toEqual([])
        expect(await store.pendingEntries(SENDER)).toHaveLength(1)
        expect(await store.order(opening(1).orderId)).toMatchObject({ isOpening: true, chain: 'none' })
      })

      it('is not written when one of its orders was taken back meanwhile', async () => {
        const lease = await lane()
        for (const n of [1, 2]) await store.enqueue(wish(opening(n)))
        await store.takeOpenings(lease, NOW)
        expect(await store.enqueueCapture(capture(opening(2), 0n))).toEqual({ status: 'done', transaction: undefined })
        expect(await record(lease, { ids: [opening(1).orderId, opening(2).orderId] })).toBeUndefined()
        expect(await store.pendingEntries(SENDER)).toEqual([])
        expect(await store.takeOpenings(lease, NOW)).toHaveLength(1)
      })

      it('keeps its replacements in order', async () => {
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        await store.takeOpenings(lease, NOW)
        const entry = await record(lease, { ids: [opening(1).orderId] })
        const attempt = {
          hash: bytes32(77),
          raw: '0x0203',
          maxFeePerGas: 2n ** 100n,
          maxPriorityFeePerGas: 2n,
          signedAtMs: 1,
        } as const
        const replaced = await store.recordAttempt(lease, { id: entry?.id ?? '', attempt })
        expect(replaced.attempts[1]).toEqual(attempt)
        expect(replaced.attempts).toHaveLength(2)
      })

      it('moves its orders as the chain says, and lets those be tried again that it did not move', async () => {
        const lease = await lane()
        const [first, second] = [opening(1), opening(2)]
        for (const order of [first, second]) await store.enqueue(wish(order))
        await store.takeOpenings(lease, NOW)
        const entry = await record(lease, { ids: [first.orderId, second.orderId] })
        const readings = [reading(first, 'open', { transaction: bytes32(5) }), reading(second, 'none')]
        await store.book(lease, { id: entry?.id ?? '', block: BLOCK, readings, maxTries: 2 })
        expect(await store.order(first.orderId)).toMatchObject({
          chain: 'open',
          openedTx: bytes32(5),
          openedBlock: 7,
          tries: 0,
        })
        expect(await store.order(second.orderId)).toMatchObject({ chain: 'none', isOpening: false, tries: 1 })
        expect((await store.takeOpenings(lease, NOW)).map(({ orderId }) => orderId)).toEqual([second.orderId])
        const again = await record(lease, { ids: [second.orderId], nonce: 1 })
        await store.book(lease, { id: again?.id ?? '', block: BLOCK, readings: [reading(second, 'none')], maxTries: 2 })
        expect(await store.order(second.orderId)).toMatchObject({ refused: 'OpeningFailed' })
      })

      it('counts no failure where another transaction took its nonce', async () => {
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        await store.takeOpenings(lease, NOW)
        const entry = await record(lease, { ids: [opening(1).orderId] })
        const readings = [reading(opening(1), 'none')]
        await store.book(lease, { id: entry?.id ?? '', block: undefined, readings, maxTries: 1 })
        expect(await store.order(opening(1).orderId)).toMatchObject({ refused: undefined, tries: 0, isOpening: false })
      })

      it('is booked once', async () => {
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        await store.takeOpenings(lease, NOW)
        const entry = await record(lease, { ids: [opening(1).orderId] })
        const booking = { id: entry?.id ?? '', block: BLOCK, maxTries: 9 }
        await store.book(lease, { ...booking, readings: [reading(opening(1), 'open')] })
        await store.book(lease, { ...booking, readings: [reading(opening(1), 'none')] })
        expect(await store.order(opening(1).orderId)).toMatchObject({ chain: 'open' })
      })

      it('comes back after a reorg, with its orders', async () => {
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        await store.takeOpenings(lease, NOW)
        const entry = await record(lease, { ids: [opening(1).orderId], nonce: 4 })
        await store.book(lease, {
          id: entry?.id ?? '',
          block: BLOCK,
          readings: [reading(opening(1), 'open')],
          maxTries: 9,
        })
        expect(await store.bookedBlocks(8)).toEqual([])
        expect(await store.bookedBlocks(7)).toEqual([BLOCK])
        expect(await store.highestNonce(SENDER, 8)).toBeUndefined()
        expect(await store.highestNonce(SENDER, 7)).toBe(4)
        expect(await store.unbook(lease, BLOCK)).toEqual([opening(1).orderId])
        expect(await store.pendingEntries(SENDER)).toMatchObject([{ id: entry?.id }])
        await store.note(lease, [reading(opening(1), 'none')])
        expect(await store.order(opening(1).orderId)).toMatchObject({
          chain: 'none',
          isOpening: true,
          openedTx: undefined,
        })
        expect(await store.takeOpenings(lease, NOW)).toEqual([])
      })
    })

    describe('captures', () => {
      it('wait for the opening, and are then taken together', async () => {
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        expect(await store.enqueueCapture(capture(opening(1), 5n))).toEqual({ status: 'queued' })
        expect(await store.takeCaptures(lease, ALL)).toEqual([])
        await store.note(lease, [reading(opening(1), 'open')])
        const [order] = await store.takeCaptures(lease, ALL)
        expect(order?.capture).toEqual(capture(opening(1), 5n))
      })

      it('are due once one has waited, or is urgent, or there are enough', async () => {
        await openOrder(1)
        const lease = await lane()
        await store.enqueueCapture(capture(opening(1), 5n))
        const early = { limit: 2, queuedByMs: START_MS - 1, urgentBy: CLAIM_BY - 1 }
        expect(await store.takeCaptures(lease, early)).toEqual([])
        expect(await store.takeCaptures(lease, { ...early, queuedByMs: START_MS })).toHaveLength(1)
        expect(await store.takeCaptures(lease, { ...early, urgentBy: CLAIM_BY })).toHaveLength(1)
        expect(await store.takeCaptures(lease, { ...early, limit: 1 })).toHaveLength(1)
      })

      it('are queued once: the same again is no other, and another is refused', async () => {
        await openOrder(1)
        expect(await store.enqueueCapture(capture(opening(1), 5n))).toEqual({ status: 'queued' })
        expect(await store.enqueueCapture(capture(opening(1), 5n))).toEqual({ status: 'queued' })
        expect(await store.enqueueCapture(capture(opening(1), 6n))).toEqual({ status: 'conflict' })
        expect(await store.enqueueCapture(capture(opening(9), 6n))).toEqual({ status: 'unknown' })
      })

      it('may come anew where one failed, but not while one is on its way', async () => {
        await openOrder(1)
        const lease = await lane()
        const { orderId } = opening(1)
        await store.enqueueCapture(capture(opening(1), 5n))
        await store.failCapture(lease, { orderId, reason: 'EvidenceRefused' })
        expect(await store.takeCaptures(lease, ALL)).toEqual([])
        expect(await store.enqueueCapture(capture(opening(1), 6n))).toEqual({ status: 'queued' })
        expect(await store.takeCaptures(lease, ALL)).toHaveLength(1)
        await record(lease, { ids: [orderId], kind: 'capture' })
        expect(await store.enqueueCapture(capture(opening(1), 7n))).toEqual({ status: 'conflict' })
      })

      it.each([
        ['with the fee that was captured', { fee: 5n }, 5n, 'done'],
        ['with the rest that went back', { refund: 995n }, 5n, 'done'],
        ['with another fee', { fee: 6n }, 6n, 'conflict'],
      ] as const)('end %s', async (_, ending, captured, status) => {
        await openOrder(1)
        const lease = await lane()
        await store.enqueueCapture(capture(opening(1), 5n))
        await store.takeCaptures(lease, ALL)
        const entry = await record(lease, { ids: [opening(1).orderId], kind: 'capture' })
        const readings = [reading(opening(1), 'closed', { ...ending, transaction: bytes32(6) })]
        await store.book(lease, { id: entry?.id ?? '', block: BLOCK, readings, maxTries: 9 })
        expect(await store.order(opening(1).orderId)).toMatchObject({ chain: 'closed', captured, isClosing: false })
        expect(await store.enqueueCapture(capture(opening(1), 5n))).toMatchObject({ status })
      })

      it('of nothing take an opening back that is not written yet', async () => {
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        expect(await store.enqueueCapture(capture(opening(1), 0n))).toEqual({ status: 'done', transaction: undefined })
        expect(await store.takeOpenings(lease, NOW)).toEqual([])
        expect(await store.enqueueCapture(capture(opening(1), 0n))).toEqual({ status: 'done', transaction: undefined })
        expect(await store.enqueueCapture(capture(opening(1), 1n))).toEqual({ status: 'unknown' })
        expect(await store.order(opening(1).orderId)).toMatchObject({ refused: 'TakenBack' })
      })

      it('of nothing wait where the opening is written', async () => {
        const lease = await lane()
        await store.enqueue(wish(opening(1)))
        await store.takeOpenings(lease, NOW)
        await record(lease, { ids: [opening(1).orderId] })
        expect(await store.enqueueCapture(capture(opening(1), 0n))).toEqual({ status: 'queued' })
      })

      it('have failed after too many failures on chain', async () => {
        await openOrder(1)
        const lease = await lane()
        await store.enqueueCapture(capture(opening(1), 5n))
        await store.takeCaptures(lease, ALL)
        const entry = await record(lease, { ids: [opening(1).orderId], kind: 'capture' })
        await store.book(lease, {
          id: entry?.id ?? '',
          block: BLOCK,
          readings: [reading(opening(1), 'open')],
          maxTries: 1,
        })
        expect(await store.order(opening(1).orderId)).toMatchObject({ captureFailure: 'CaptureFailed', chain: 'open' })
        expect(await store.counts()).toMatchObject({ failedCaptures: 1, queuedCaptures: 0, openOrders: 1 })
      })

      it('that fail on chain and are queued anew again and again have gas spent on them a few times only', async () => {
        await openOrder(1)
        const lease = await lane()
        const { orderId } = opening(1)
        let sent = 0
        for (let fee = 1n; fee <= 100n; fee++) {
          const outcome = await store.enqueueCapture(capture(opening(1), fee))
          if (outcome.status === 'failed') break
          while ((await store.takeCaptures(lease, ALL)).length > 0) {
            const entry = await record(lease, { ids: [orderId], kind: 'capture', nonce: sent++ })
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
        const lease = await lane()
        for (const n of [1, 2, 3]) await openOrder(n)
        await store.enqueueCapture(capture(opening(2), 5n))
        await store.enqueueCapture(capture(opening(3), 5n))
        await store.failCapture(lease, { orderId: opening(3).orderId, reason: 'RowSkipped' })
        expect(await store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY - 1 })).toEqual([])
        const taken = await store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY })
        expect(taken.map(({ orderId }) => orderId).sort()).toEqual([opening(1).orderId, opening(3).orderId])
        expect(await record(lease, { ids: taken.map(({ orderId }) => orderId), kind: 'reclaim' })).toBeDefined()
        expect(await store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY })).toEqual([])
      })

      it('are taken too where they were refused, until it is known that nobody opened them', async () => {
        const lease = await lane()
        const { orderId } = opening(1)
        await store.enqueue(wish(opening(1)))
        await store.refuse(lease, { orderId, reason: 'InvalidNonce' })
        expect(await store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY })).toHaveLength(1)
        await store.end(lease, orderId)
        expect(await store.takeExpired(lease, { limit: 9, claimBy: CLAIM_BY })).toEqual([])
      })
    })

    it('tells the orders that are decided from those that are under way', async () => {
      const lease = await lane()
      for (const n of [1, 2, 3, 4]) await store.enqueue(wish(opening(n)))
      await store.note(lease, [reading(opening(1), 'open')])
      await store.refuse(lease, { orderId: opening(2).orderId, reason: 'InvalidNonce' })
      await store.enqueueCapture(capture(opening(3), 5n))
      const ids = [1, 2, 3, 4, 5].map((n) => opening(n).orderId)
      expect((await store.decided(ids)).map(({ orderId }) => orderId).sort()).toEqual(ids.slice(0, 3))
      expect(await store.decided([])).toEqual([])
    })

    it('counts what there is', async () => {
      const lease = await lane()
      await openOrder(1)
      await store.enqueueCapture(capture(opening(1), 5n))
      for (const n of [2, 3]) await store.enqueue(wish(opening(n)))
      await store.takeOpenings(lease, { ...NOW, limit: 1 })
      nowMs += 500
      await record(lease, { ids: [opening(2).orderId] })
      expect(await store.counts()).toEqual({
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

function bytes32(n: number): Hex {
  return `0x${n.toString(16).padStart(64, '0')}`
}

function opening(n: number, { payer = PAYER }: { readonly payer?: Address } = {}): Opening {
  return {
    orderId: bytes32(n),
    terms: {
      node: NODE,
      facilitator: ZERO_ADDRESS,
      facilitatorBps: 0,
      verifier: NODE,
      evidenceKey: ZERO_BYTES32,
      modelId: ZERO_BYTES32,
    },
    order: {
      payer,
      nonce: BigInt(n),
      amount: 1_000n,
      job: { requester: payer, requestHash: ZERO_BYTES32 },
      claimBy: CLAIM_BY,
    },
    funding: { kind: 'permit2', deadline: 9n, signature: '0x11' },
    approval: undefined,
  }
}

function wish(order: Opening): Parameters<EngineStore['enqueue']>[0] {
  return { opening: order, batchKey: 'key', attempt: bytes32(50), limits: LIMITS }
}

function capture({ orderId }: Opening, cumulativeFee: bigint): Capture {
  const settlement = { orderId, cumulativeFee, receiptsRoot: ZERO_BYTES32, receiptCount: 2n ** 64n - 1n, close: true }
  return { orderId, settlement, evidence: '0xbeef' }
}

function reading({ orderId }: Opening, chain: Reading['chain'], more: Partial<Reading> = {}): Reading {
  return { orderId, chain, block: BLOCK, ...more }
}
