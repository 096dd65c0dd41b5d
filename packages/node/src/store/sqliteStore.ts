import { Database, StoreError, type Clock, type RandomBytes } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import { insertOrder, markClosing, readOrder, readOrders, updateSnapshot } from './orderRows.js'
import {
  bookEntry,
  holdLaneRow,
  insertAttempt,
  insertEntry,
  planRows,
  readEntries,
  readEntry,
  releaseLaneRow,
  requireLane,
  unbookEntry,
} from './outboxRows.js'
import { paymentBooks } from './paymentRows.js'
import { abandonRow, commitRow, readAnswer, readReceipts, removeOwner, renewOwner, reserveRow } from './requestRows.js'
import { createRecentOrders } from './recentOrders.js'
import { booksId as readBooksId, prepareSchema } from './schema.js'
import type { BooksIdentity, NodeStore } from './types.js'

export interface SqliteStoreOptions {
  /** The database's file; made where it is missing. All processes of a node key share it, on one machine. */
  readonly path: string
  readonly identity: BooksIdentity
  readonly clock: Clock
  readonly random: RandomBytes
  /** A process that says nothing for so long is taken for dead, and its reservations are given back. */
  readonly leaseMs?: number
}

const DEFAULT_LEASE_MS = 20_000

/**
 * The node's books in SQLite: WAL, and a commit is on the disk when its promise resolves.
 *
 * @throws {StoreError} if the file cannot be used
 * @throws {WrongChainError} if the file is of another node, escrow or chain
 */
export async function openSqliteStore(options: SqliteStoreOptions): Promise<NodeStore> {
  const { path, identity, clock, random, leaseMs = DEFAULT_LEASE_MS } = options
  const token = (bytes = 16): Hex => `0x${Buffer.from(random(bytes)).toString('hex')}`
  const database = new Database(path)
  try {
    await prepareSchema(database, { identity, freshId: token(32) })
  } catch (error) {
    database.close()
    throw error
  }
  const booksId = await database.read('reading the name of the books', () => readBooksId(database))
  const owner = token()
  let fences = 0
  // Nobody else makes one with this owner in it.
  const nextFence = (): Hex => `${owner}${(fences++).toString(16).padStart(16, '0')}`
  const renew = (): void => {
    renewOwner(database, { owner, nowMs: clock(), leaseMs })
  }
  await database.write('signing in', renew)
  const recent = createRecentOrders(clock)

  return {
    booksId,
    putOrder: (input) =>
      database.write('remembering an order', () => {
        insertOrder(database, { ...input, nowMs: clock() })
        updateSnapshot(database, { ...input, nowMs: clock() })
        const stored = readOrder(database, input.orderId)
        if (stored === undefined) throw new StoreError('remembering an order')
        return stored
      }),
    noteSnapshot: (orderId, snapshot) =>
      database.write('noting the chain', () => {
        updateSnapshot(database, { orderId, snapshot, nowMs: clock() })
        recent.forget(orderId)
        return readOrder(database, orderId)
      }),
    order: (orderId) => database.look('reading an order', () => readOrder(database, orderId)),
    recentOrder: (orderId) => {
      const found = recent.get(orderId)
      if (found !== undefined) return Promise.resolve(found)
      return database.look('reading an order', () => recent.keep(readOrder(database, orderId)))
    },
    orders: (filter) => database.read('reading orders', () => readOrders(database, filter?.live === true)),
    answer: (orderId, index) => database.look('reading an answer', () => readAnswer(database, orderId, index)),
    reserve: (request) =>
      database.share('reserving', () => reserveRow(database, request, { owner, fence: nextFence() }), { first: renew }),
    commit: (reservation, commitment) =>
      database.share('storing a receipt', () => commitRow(database, { reservation, commitment, nowMs: clock() })),
    abandon: (reservation) =>
      database.share('giving a reservation back', () => {
        abandonRow(database, reservation)
      }),
    heartbeat: () => database.write('renewing the lease', renew),
    receipts: (orderId, page) => database.read('reading receipts', () => readReceipts(database, { orderId, ...page })),
    startClosing: (orderId, reason) =>
      database.write('closing an order', () => {
        markClosing(database, orderId, reason)
        return readOrder(database, orderId)
      }),

    ...paymentBooks(database, clock),

    holdLane: () =>
      database.write('taking the lane', () =>
        holdLaneRow(database, { owner, fence: token(), nowMs: clock(), leaseMs }),
      ),
    releaseLane: (lease) =>
      database.write('leaving the lane', () => {
        releaseLaneRow(database, lease)
      }),
    planSettlements: (lease, wishes) =>
      database.write('planning settlements', () => {
        requireLane(database, lease)
        renew()
        return planRows(database, wishes)
      }),
    recordEntry: (lease, entry) =>
      database.write('writing a transaction', () => {
        requireLane(database, lease)
        return insertEntry(database, entry)
      }),
    recordAttempt: (lease, input) =>
      database.write('writing a replacement', () => {
        requireLane(database, lease)
        insertAttempt(database, input)
        return readEntry(database, input.id)
      }),
    book: (lease, input) =>
      database.write('booking a transaction', () => {
        requireLane(database, lease)
        bookEntry(database, { ...input, nowMs: clock() })
      }),
    unbook: (lease, id) =>
      database.write('taking a booking back', () => {
        requireLane(database, lease)
        unbookEntry(database, { id, nowMs: clock() })
      }),
    blockOrder: (lease, { orderId, reason }) =>
      database.write('blocking an order', () => {
        requireLane(database, lease)
        database.run('UPDATE orders SET blocked = ? WHERE order_id = ?', [reason, orderId])
      }),
    pendingEntries: () => entriesWhere(database, "WHERE state = 'pending' ORDER BY nonce"),
    bookedSince: (blockNumber) => entriesWhere(database, 'WHERE block_number >= ? ORDER BY nonce', [blockNumber]),
    entries: () => entriesWhere(database, 'ORDER BY id'),

    close: async () => {
      await database.write('signing out', () => {
        removeOwner(database, owner)
        database.run('DELETE FROM lane WHERE owner = ?', [owner])
      })
      database.close()
    },
  }
}

function entriesWhere(
  database: Database,
  sql: string,
  values: readonly number[] = [],
): ReturnType<NodeStore['entries']> {
  return database.read('reading transactions', () => readEntries(database, { sql, values }))
}
