import { type Clock, LaneLostError, type RandomBytes, integer, optionalInteger, text } from '@opg/operator'
import type { Address, Hex } from '@opg/protocol'
import {
  bookEntry,
  bookReading,
  bookedBlockRows,
  insertAttempt,
  insertEntry,
  readEntry,
  unbookBlock,
} from './booking.js'
import { enqueueCaptureRow, enqueueRow } from './intake.js'
import { orderOf, placeholders, readEntries, readOrder } from './rows.js'
import { type BooksIdentity, prepareSchema } from './schema.js'
import type { SqlDatabase, Statements } from './sql.js'
import { takeCaptureRows, takeExpiredRows, takeOpeningRows } from './taking.js'
import type { Counts, EngineStore, LaneLease } from './types.js'

export interface EngineStoreOptions {
  readonly database: SqlDatabase
  readonly identity: BooksIdentity
  readonly clock: Clock
  readonly random: RandomBytes
  /** A lane whose holder says nothing for so long is taken over. */
  readonly leaseMs?: number
}

const DEFAULT_LEASE_MS = 20_000

/**
 * The books of an engine. Their clocks may differ by less than a lease among instances.
 *
 * @throws {WrongChainError} if they are those of another escrow or chain, or of another version
 * @throws {StoreError} if the database fails
 */
export async function openEngineStore(options: EngineStoreOptions): Promise<EngineStore> {
  const { database, identity, clock, random, leaseMs = DEFAULT_LEASE_MS } = options
  await prepareSchema(database, identity)
  const token = (): Hex => `0x${Buffer.from(random(16)).toString('hex')}`
  const owner = token()

  /** Writes as the holder of the lane. */
  function inLane<T>(operation: string, lease: LaneLease, work: (sql: Statements) => Promise<T>): Promise<T> {
    return database.write(operation, async (sql) => {
      const { sender, fence } = lease
      const held = await sql.all('SELECT sender FROM lanes WHERE sender = ? AND fence = ?', [sender, fence])
      if (held.length === 0) throw new LaneLostError()
      return work(sql)
    })
  }

  const moment = (): { readonly nowMs: number; readonly untilMs: number } => {
    const nowMs = clock()
    return { nowMs, untilMs: nowMs + leaseMs }
  }

  return {
    enqueue: (input) => database.write('queueing an opening', (sql) => enqueueRow(sql, { ...input, nowMs: clock() })),
    enqueueCapture: (capture) =>
      database.write('queueing a capture', (sql) => enqueueCaptureRow(sql, { capture, nowMs: clock() })),
    order: (orderId) => database.read('reading an order', (sql) => readOrder(sql, orderId)),
    decided: (orderIds) =>
      database.read('reading orders', async (sql) => {
        if (orderIds.length === 0) return []
        const rows = await sql.all(
          `SELECT * FROM orders WHERE order_id IN ${placeholders(orderIds)}
             AND (chain <> 'none' OR refused IS NOT NULL OR capture IS NOT NULL)`,
          orderIds,
        )
        return rows.map(orderOf)
      }),
    counts: () => database.read('counting', readCounts),

    holdLane: (sender) =>
      database.write('taking a lane', (sql) => holdLaneRow(sql, { sender, owner, fence: token(), ...moment() })),
    releaseLane: ({ sender, fence }) =>
      database.write('leaving a lane', async (sql) => {
        await sql.run('UPDATE orders SET claimed_by = NULL, claimed_until_ms = 0 WHERE claimed_by = ?', [fence])
        await sql.run('DELETE FROM lanes WHERE sender = ? AND fence = ?', [sender, fence])
      }),

    takeOpenings: (lease, input) =>
      inLane('taking openings', lease, (sql) => takeOpeningRows(sql, { ...input, ...moment(), lease })),
    takeCaptures: (lease, input) =>
      inLane('taking captures', lease, (sql) => takeCaptureRows(sql, { ...input, ...moment(), lease })),
    takeExpired: (lease, input) =>
      inLane('taking what is over', lease, (sql) => takeExpiredRows(sql, { ...input, ...moment(), lease })),

    refuse: (lease, { orderId, reason }) =>
      inLane('refusing an opening', lease, async (sql) => {
        await sql.run(
          `UPDATE orders SET refused = ? WHERE order_id = ? AND chain = 'none' AND refused IS NULL AND open_entry IS NULL`,
          [reason, orderId],
        )
      }),
    failCapture: (lease, { orderId, reason }) =>
      inLane('noting a failed capture', lease, async (sql) => {
        await sql.run(
          'UPDATE orders SET capture_failure = ? WHERE order_id = ? AND close_entry IS NULL AND capture IS NOT NULL',
          [reason, orderId],
        )
      }),
    postpone: (lease, { orderIds, delayMs }) =>
      inLane('postponing orders', lease, async (sql) => {
        if (orderIds.length === 0) return
        await sql.run(
          `UPDATE orders SET retry_at_ms = ?, claimed_by = NULL, claimed_until_ms = 0
           WHERE order_id IN ${placeholders(orderIds)}`,
          [clock() + delayMs, ...orderIds],
        )
      }),
    note: (lease, readings) =>
      inLane('noting the chain', lease, async (sql) => {
        for (const reading of readings) await bookReading(sql, reading)
      }),
    end: (lease, orderId) =>
      inLane('ending an order', lease, async (sql) => {
        await sql.run('UPDATE orders SET ended = 1 WHERE order_id = ? AND refused IS NOT NULL', [orderId])
      }),

    recordEntry: (lease, entry) =>
      inLane('writing a transaction', lease, (sql) => insertEntry(sql, { id: token(), lease, entry })),
    recordAttempt: (lease, input) =>
      inLane('writing a replacement', lease, async (sql) => {
        await insertAttempt(sql, input)
        return readEntry(sql, input.id)
      }),
    book: (lease, input) =>
      inLane('booking a transaction', lease, (sql) => bookEntry(sql, { ...input, nowMs: clock() })),
    unbook: (lease, block) => inLane('taking a booking back', lease, (sql) => unbookBlock(sql, block)),
    pendingEntries: (sender) =>
      database.read('reading transactions', (sql) =>
        readEntries(sql, { where: `sender = ? AND state = 'pending' ORDER BY nonce`, values: [sender] }),
      ),
    bookedBlocks: (from) => database.read('reading blocks', (sql) => bookedBlockRows(sql, from)),
    highestNonce: (sender, sinceBlock) =>
      database.read('reading a nonce', async (sql) => {
        const [row] = await sql.all(
          `SELECT MAX(nonce) AS nonce FROM entries WHERE sender = ? AND (state = 'pending' OR block_number >= ?)`,
          [sender, sinceBlock],
        )
        return row === undefined ? undefined : optionalInteger(row, 'nonce')
      }),

    close: () => database.close(),
  }
}

async function holdLaneRow(
  sql: Statements,
  input: {
    readonly sender: Address
    readonly owner: string
    readonly fence: Hex
    readonly nowMs: number
    readonly untilMs: number
  },
): Promise<LaneLease | undefined> {
  const { sender, owner, nowMs, untilMs } = input
  const [row] = await sql.all('SELECT * FROM lanes WHERE sender = ?', [sender])
  const isOwn = row !== undefined && text(row, 'owner') === owner
  if (row !== undefined && !isOwn && integer(row, 'lease_until_ms') > nowMs) return undefined
  const fence = isOwn ? (text(row, 'fence') as Hex) : input.fence
  await sql.run(
    `INSERT INTO lanes (sender, owner, fence, lease_until_ms) VALUES (?, ?, ?, ?)
     ON CONFLICT (sender) DO UPDATE SET
       owner = excluded.owner, fence = excluded.fence, lease_until_ms = excluded.lease_until_ms`,
    [sender, owner, fence, untilMs],
  )
  return { sender, fence }
}

async function readCounts(sql: Statements): Promise<Counts> {
  const one = async (from: string): Promise<number> => {
    const [row] = await sql.all(`SELECT COUNT(*) AS n FROM ${from}`)
    return row === undefined ? 0 : integer(row, 'n')
  }
  const [oldest] = await sql.all(
    `SELECT MIN(signed_at_ms) AS ms FROM attempts JOIN entries ON entries.id = entry_id WHERE entries.state = 'pending'`,
  )
  const capture = `orders WHERE ended = 0 AND capture IS NOT NULL AND refused IS NULL AND capture_failure`
  return {
    queuedOpenings: await one(`orders WHERE chain = 'none' AND refused IS NULL AND open_entry IS NULL`),
    openOrders: await one(`orders WHERE ended = 0 AND chain = 'open'`),
    queuedCaptures: await one(`${capture} IS NULL`),
    failedCaptures: await one(`${capture} IS NOT NULL`),
    pendingTransactions: await one(`entries WHERE state = 'pending'`),
    oldestPendingMs: oldest === undefined ? undefined : optionalInteger(oldest, 'ms'),
  }
}
