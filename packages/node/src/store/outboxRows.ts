import {
  LaneLostError,
  StoreError,
  amount,
  hex,
  integer,
  optionalInteger,
  text,
  type Database,
  type Row,
  type SignedAttempt,
} from '@opg/operator'
import { type Hex, type Settlement, parseSettlement, toWire, treeRoot } from '@opg/protocol'
import { markClosing, noteUnsettled, readOrder } from './orderRows.js'
import type { Booking, LaneLease, OutboxEntry, OutboxKind, PlanWish, RowOutcome } from './outboxTypes.js'
import { isSettledOnce } from './reservedSlice.js'

/** All functions here run inside a transaction of their caller. */

export function holdLaneRow(
  database: Database,
  input: { readonly owner: string; readonly fence: Hex; readonly nowMs: number; readonly leaseMs: number },
): LaneLease | undefined {
  const row = database.get('SELECT * FROM lane WHERE id = 1')
  const isOwn = row !== undefined && text(row, 'owner') === input.owner
  if (row !== undefined && !isOwn && integer(row, 'lease_until_ms') > input.nowMs) return undefined
  const fence = isOwn ? hex(row, 'fence') : input.fence
  database.run('INSERT OR REPLACE INTO lane (id, owner, fence, lease_until_ms) VALUES (1, ?, ?, ?)', [
    input.owner,
    fence,
    input.nowMs + input.leaseMs,
  ])
  return { fence }
}

export function releaseLaneRow(database: Database, lease: LaneLease): void {
  database.run('DELETE FROM lane WHERE fence = ?', [lease.fence])
}

export function requireLane(database: Database, lease: LaneLease): void {
  if (database.get('SELECT id FROM lane WHERE fence = ?', [lease.fence]) === undefined) throw new LaneLostError()
}

export function planRows(database: Database, wishes: readonly PlanWish[]): readonly Settlement[] {
  return wishes.flatMap(({ orderId, close }) => {
    const order = readOrder(database, orderId)
    if (order === undefined || order.inFlight || order.chain !== 'open' || order.blocked !== undefined) return []
    // Only an order that nothing runs on may be closed: a receipt after the signed close could never be settled.
    const canClose = close !== undefined && order.reservations === 0
    const isNew = order.cumulativeFee > order.released
    // What is settled once takes nothing but its close.
    if (!canClose && (!isNew || isSettledOnce(order))) return []
    if (canClose) markClosing(database, orderId, close)
    return [
      {
        orderId,
        cumulativeFee: order.cumulativeFee,
        receiptsRoot: treeRoot(order.tree),
        receiptCount: order.receiptCount,
        close: canClose,
      },
    ]
  })
}

export function insertEntry(
  database: Database,
  entry: {
    readonly kind: OutboxKind
    readonly nonce: number
    readonly data: Hex
    readonly gasLimit: bigint
    readonly settlements: readonly Settlement[]
    readonly attempt: SignedAttempt
  },
): OutboxEntry {
  database.run('INSERT INTO entries (kind, nonce, data, gas_limit, settlements) VALUES (?, ?, ?, ?, ?)', [
    entry.kind,
    entry.nonce,
    entry.data,
    entry.gasLimit.toString(),
    JSON.stringify(toWire(entry.settlements)),
  ])
  const row = database.get("SELECT id FROM entries WHERE nonce = ? AND state = 'pending'", [entry.nonce])
  if (row === undefined) throw new StoreError('writing a transaction')
  const id = integer(row, 'id')
  insertAttempt(database, { id, attempt: entry.attempt })
  takeInFlight(database, { id, settlements: entry.settlements })
  return readEntry(database, id)
}

export function insertAttempt(
  database: Database,
  { id, attempt }: { readonly id: number; readonly attempt: SignedAttempt },
): void {
  database.run(
    `INSERT INTO attempts (hash, entry_id, raw, max_fee_per_gas, max_priority_fee_per_gas, signed_at_ms)
     VALUES (?, ?, ?, ?, ?, ?)`,
    [
      attempt.hash,
      id,
      attempt.raw,
      attempt.maxFeePerGas.toString(),
      attempt.maxPriorityFeePerGas.toString(),
      attempt.signedAtMs,
    ],
  )
}

export function bookEntry(
  database: Database,
  input: { readonly id: number; readonly booking: Booking; readonly nowMs: number },
): void {
  const { id, booking, nowMs } = input
  const entry = readEntry(database, id)
  // Booked already, by a process that held the lane before: the same events say the same.
  if (entry.state !== 'pending') return
  database.run('UPDATE entries SET state = ?, block_number = ?, block_hash = ?, outcomes = ? WHERE id = ?', [
    booking.state,
    booking.block?.number ?? null,
    booking.block?.hash ?? null,
    JSON.stringify(booking.rows.map(({ orderId, outcome }) => ({ orderId, outcome }))),
    id,
  ])
  for (const { orderId } of entry.settlements) {
    database.run('UPDATE orders SET entry_id = NULL WHERE order_id = ? AND entry_id = ?', [orderId, id])
  }
  for (const row of booking.rows) bookRow(database, { row, blockNumber: booking.block?.number ?? 0, nowMs })
}

function bookRow(
  database: Database,
  input: { readonly row: RowOutcome; readonly blockNumber: number; readonly nowMs: number },
): void {
  const { row, blockNumber, nowMs } = input
  if (row.settled) {
    database.run('UPDATE orders SET released = ?, chain = ?, booked_block = ?, checked_at_ms = ? WHERE order_id = ?', [
      row.cumulativeFee.toString(),
      row.closed ? 'closed' : 'open',
      blockNumber,
      nowMs,
      row.orderId,
    ])
  }
  noteUnsettled(database, { orderId: row.orderId, nowMs })
}

export function unbookEntry(database: Database, input: { readonly id: number; readonly nowMs: number }): void {
  const entry = readEntry(database, input.id)
  if (entry.state !== 'confirmed' && entry.state !== 'reverted') return
  database.run(
    "UPDATE entries SET state = 'pending', block_number = NULL, block_hash = NULL, outcomes = NULL WHERE id = ?",
    [entry.id],
  )
  takeInFlight(database, entry)
  for (const { orderId } of entry.settlements) {
    database.run('UPDATE orders SET booked_block = 0 WHERE order_id = ?', [orderId])
  }
}

export function readEntries(
  database: Database,
  where: { readonly sql: string; readonly values: readonly number[] },
): readonly OutboxEntry[] {
  return database.all(`SELECT * FROM entries ${where.sql}`, where.values).map((row) => entryOf(database, row))
}

export function readEntry(database: Database, id: number): OutboxEntry {
  const row = database.get('SELECT * FROM entries WHERE id = ?', [id])
  if (row === undefined) throw new StoreError('reading a transaction')
  return entryOf(database, row)
}

function entryOf(database: Database, row: Row): OutboxEntry {
  const id = integer(row, 'id')
  const blockNumber = optionalInteger(row, 'block_number')
  const settlements = JSON.parse(text(row, 'settlements')) as readonly unknown[]
  return {
    id,
    kind: text(row, 'kind') as OutboxKind,
    nonce: integer(row, 'nonce'),
    data: hex(row, 'data'),
    gasLimit: amount(row, 'gas_limit'),
    settlements: settlements.map((value) => parseSettlement(value)),
    attempts: database
      .all('SELECT * FROM attempts WHERE entry_id = ? ORDER BY signed_at_ms, rowid', [id])
      .map((attempt) => ({
        hash: hex(attempt, 'hash'),
        raw: hex(attempt, 'raw'),
        maxFeePerGas: amount(attempt, 'max_fee_per_gas'),
        maxPriorityFeePerGas: amount(attempt, 'max_priority_fee_per_gas'),
        signedAtMs: integer(attempt, 'signed_at_ms'),
      })),
    state: text(row, 'state') as OutboxEntry['state'],
    block: blockNumber === undefined ? undefined : { number: blockNumber, hash: hex(row, 'block_hash') },
  }
}

function takeInFlight(
  database: Database,
  { id, settlements }: { readonly id: number; readonly settlements: readonly Settlement[] },
): void {
  for (const { orderId } of settlements) {
    database.run('UPDATE orders SET entry_id = ? WHERE order_id = ?', [id, orderId])
  }
}
