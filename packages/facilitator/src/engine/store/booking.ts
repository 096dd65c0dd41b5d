import { type SignedAttempt, StoreError, hex, integer, text } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import { placeholders, readEntries, readOrder } from './rows.js'
import type { Statements } from './sql.js'
import type { BlockId, EngineStore, Entry, EntryKind, LaneLease, Reading } from './types.js'

/** Transactions and what became of them. All functions here run inside a transaction of their caller. */

type NewEntry = Parameters<EngineStore['recordEntry']>[1]
type EntryBooking = Parameters<EngineStore['book']>[1]

/** Of which orders a transaction may be written. */
const WRITABLE: Readonly<Record<EntryKind, string>> = {
  open: `chain = 'none' AND refused IS NULL AND open_entry IS NULL`,
  capture: `chain = 'open' AND capture IS NOT NULL AND capture_failure IS NULL AND close_entry IS NULL`,
  reclaim: `chain = 'open' AND close_entry IS NULL AND (capture IS NULL OR capture_failure IS NOT NULL)`,
}

export async function insertEntry(
  sql: Statements,
  { id, lease, entry }: { readonly id: string; readonly lease: LaneLease; readonly entry: NewEntry },
): Promise<Entry | undefined> {
  const { kind, nonce, data, gasLimit, orderIds } = entry
  const list = placeholders(orderIds)
  const [ready] = await sql.all(
    `SELECT COUNT(*) AS n FROM orders WHERE order_id IN ${list} AND claimed_by = ? AND ${WRITABLE[kind]}`,
    [...orderIds, lease.fence],
  )
  if (ready === undefined || integer(ready, 'n') !== orderIds.length) return undefined
  await sql.run(
    `INSERT INTO entries (id, sender, kind, nonce, data, gas_limit, order_ids, state)
     VALUES (?, ?, ?, ?, ?, ?, ?, 'pending')`,
    [id, lease.sender, kind, nonce, data, gasLimit.toString(), JSON.stringify(orderIds)],
  )
  await insertAttempt(sql, { id, attempt: entry.attempt })
  await sql.run(
    `UPDATE orders SET ${columnOf(kind)} = ?, claimed_by = NULL, claimed_until_ms = 0 WHERE order_id IN ${list}`,
    [id, ...orderIds],
  )
  return readEntry(sql, id)
}

export async function insertAttempt(
  sql: Statements,
  { id, attempt }: { readonly id: string; readonly attempt: SignedAttempt },
): Promise<void> {
  const [last] = await sql.all('SELECT COUNT(*) AS n FROM attempts WHERE entry_id = ?', [id])
  await sql.run(
    `INSERT INTO attempts (hash, entry_id, place, raw, max_fee_per_gas, max_priority_fee_per_gas, signed_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    [
      attempt.hash,
      id,
      last === undefined ? 0 : integer(last, 'n'),
      attempt.raw,
      attempt.maxFeePerGas.toString(),
      attempt.maxPriorityFeePerGas.toString(),
      attempt.signedAtMs,
    ],
  )
}

export async function readEntry(sql: Statements, id: string): Promise<Entry> {
  const [entry] = await readEntries(sql, { where: 'id = ?', values: [id] })
  if (entry === undefined) throw new StoreError('reading a transaction')
  return entry
}

export async function bookEntry(sql: Statements, input: EntryBooking & { readonly nowMs: number }): Promise<void> {
  const { id, block, readings, maxTries, nowMs } = input
  const booked = await sql.run(
    `UPDATE entries SET state = ?, block_number = ?, block_hash = ? WHERE id = ? AND state = 'pending'`,
    [block === undefined ? 'superseded' : 'mined', block?.number ?? null, block?.hash ?? null, id],
  )
  // Booked already, by whoever held the lane before.
  if (booked === 0) return
  const { kind } = await readEntry(sql, id)
  for (const reading of readings) {
    await sql.run(`UPDATE orders SET ${columnOf(kind)} = NULL WHERE order_id = ? AND ${columnOf(kind)} = ?`, [
      reading.orderId,
      id,
    ])
    const hasFailed = reading.chain === 'none' || (reading.chain === 'open' && kind !== 'open')
    if (hasFailed && block !== undefined) await countFailure(sql, { reading, kind, maxTries, nowMs })
    await bookReading(sql, reading)
  }
}

async function countFailure(
  sql: Statements,
  input: {
    readonly reading: Reading
    readonly kind: EntryKind
    readonly maxTries: number
    readonly nowMs: number
  },
): Promise<void> {
  const { reading, kind, maxTries, nowMs } = input
  const { orderId } = reading
  await sql.run('UPDATE orders SET tries = tries + 1, retry_at_ms = ? WHERE order_id = ?', [nowMs, orderId])
  const order = await readOrder(sql, orderId)
  if (order === undefined || order.tries < maxTries) return
  if (kind === 'open') await sql.run(`UPDATE orders SET refused = 'OpeningFailed' WHERE order_id = ?`, [orderId])
  if (kind === 'capture') {
    await sql.run(`UPDATE orders SET capture_failure = 'CaptureFailed' WHERE order_id = ?`, [orderId])
  }
}

/** What the chain says of an order is the truth, whatever the books say. */
export async function bookReading(sql: Statements, reading: Reading): Promise<void> {
  const { orderId, chain, block, transaction = null } = reading
  if (chain === 'none') {
    await sql.run(
      `UPDATE orders SET chain = 'none', opened_tx = NULL, opened_block = NULL, closed_tx = NULL, captured = NULL,
         ended = 0, seen_block = NULL, seen_hash = NULL
       WHERE order_id = ?`,
      [orderId],
    )
    return
  }
  // Unchanged where it was open before.
  await sql.run(
    `UPDATE orders SET chain = 'open', tries = 0, refused = NULL, opened_tx = ?, opened_block = ?,
       seen_block = ?, seen_hash = ?
     WHERE order_id = ? AND chain = 'none'`,
    [chain === 'open' ? transaction : null, block.number, block.number, block.hash, orderId],
  )
  if (chain === 'closed') {
    const captured = await capturedOf(sql, reading)
    await sql.run(
      `UPDATE orders SET chain = 'closed', closed_tx = ?, captured = ?, ended = 1, seen_block = ?, seen_hash = ?
       WHERE order_id = ? AND chain = 'open'`,
      [transaction, captured?.toString() ?? null, block.number, block.hash, orderId],
    )
  } else {
    await sql.run(
      `UPDATE orders SET chain = 'open', closed_tx = NULL, captured = NULL, ended = 0, seen_block = ?, seen_hash = ?
       WHERE order_id = ? AND chain = 'closed'`,
      [block.number, block.hash, orderId],
    )
  }
}

async function capturedOf(sql: Statements, { orderId, fee, refund }: Reading): Promise<bigint | undefined> {
  if (fee !== undefined || refund === undefined) return fee
  const order = await readOrder(sql, orderId)
  return order === undefined ? undefined : order.opening.order.amount - refund
}

export async function unbookBlock(sql: Statements, block: BlockId): Promise<readonly Hex[]> {
  const where = `state = 'mined' AND block_number = ? AND block_hash = ?`
  for (const { id, kind, orderIds } of await readEntries(sql, { where, values: [block.number, block.hash] })) {
    const row = await sql.all(
      `SELECT other.id FROM entries AS entry JOIN entries AS other
         ON other.sender = entry.sender AND other.nonce = entry.nonce AND other.state = 'pending'
       WHERE entry.id = ?`,
      [id],
    )
    // Where another transaction has its nonce meanwhile, it cannot come back.
    const state = row.length === 0 ? 'pending' : 'superseded'
    await sql.run('UPDATE entries SET state = ?, block_number = NULL, block_hash = NULL WHERE id = ?', [state, id])
    if (state === 'superseded') continue
    const column = columnOf(kind)
    await sql.run(`UPDATE orders SET ${column} = ? WHERE ${column} IS NULL AND order_id IN ${placeholders(orderIds)}`, [
      id,
      ...orderIds,
    ])
  }
  const seen = await sql.all('SELECT order_id FROM orders WHERE seen_block = ? AND seen_hash = ?', [
    block.number,
    block.hash,
  ])
  return seen.map((row) => hex(row, 'order_id'))
}

export async function bookedBlockRows(sql: Statements, from: number): Promise<readonly BlockId[]> {
  const rows = await sql.all(
    `SELECT block_number AS number, block_hash AS hash FROM entries WHERE block_number >= ?
     UNION SELECT seen_block AS number, seen_hash AS hash FROM orders WHERE seen_block >= ?
     ORDER BY number DESC`,
    [from, from],
  )
  return rows.map((row) => ({ number: integer(row, 'number'), hash: text(row, 'hash') as Hex }))
}

function columnOf(kind: EntryKind): 'open_entry' | 'close_entry' {
  return kind === 'open' ? 'open_entry' : 'close_entry'
}
