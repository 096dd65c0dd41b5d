import { amount, bytes, hex, optionalText, text, type Database, type Row } from '@opg/operator'
import { type Hex, appendLeaf, packTree, parseSignedReceipt, toWire } from '@opg/protocol'
import type { SignedReceipt } from '@opg/protocol'
import { FeeOverReservationError, ReservationLostError } from '../errors.js'
import {
  BALANCE,
  type OrderBalance,
  balanceOf,
  committedOf,
  fixedOf,
  freeOf,
  noteUnsettled,
  readOrder,
} from './orderRows.js'
import { pinnedHash } from './reservedSlice.js'
import type { Commitment, Reservation, ReservationRequest, ReserveOutcome, StoredAnswer } from './types.js'

/** All functions here run inside a transaction of their caller. */

export function readAnswer(database: Database, orderId: Hex, index: bigint): StoredAnswer | undefined {
  const row = database.get('SELECT * FROM receipts WHERE order_id = ? AND idx = ? AND is_forgotten = 0', [
    orderId,
    index.toString(),
  ])
  return row === undefined ? undefined : answerOf(row)
}

export function readLastAnswer(database: Database, orderId: Hex): StoredAnswer | undefined {
  const row = database.get('SELECT * FROM receipts WHERE order_id = ? ORDER BY seq DESC LIMIT 1', [orderId])
  return row === undefined ? undefined : answerOf(row)
}

export function readReceipts(
  database: Database,
  input: { readonly orderId: Hex; readonly from: bigint; readonly limit: number },
): readonly SignedReceipt[] {
  return database
    .all('SELECT signed_receipt FROM receipts WHERE order_id = ? AND seq >= ? ORDER BY seq LIMIT ?', [
      input.orderId,
      Number(input.from),
      input.limit,
    ])
    .map(receiptOf)
}

/** All that a reservation depends on, by one statement. */
const RESERVE = `SELECT ${BALANCE},
  (SELECT request_id FROM receipts WHERE order_id = ?1 AND idx = ?2) AS answered_id,
  (SELECT request_id FROM reservations WHERE order_id = ?1 AND idx = ?2) AS running_id
  FROM orders WHERE order_id = ?1`

export function reserveRow(
  database: Database,
  request: ReservationRequest,
  holder: { readonly owner: string; readonly fence: Hex },
): ReserveOutcome {
  const { orderId, index, requestId, maxFee } = request
  const fixed = fixedOf(database, orderId)
  const row = database.get(RESERVE, [orderId, index.toString()])
  if (row === undefined || fixed === undefined) return { status: 'unknown' }
  const answered = optionalText(row, 'answered_id')
  if (answered !== undefined) {
    const answer = answered === requestId ? readAnswer(database, orderId, index) : undefined
    return answer === undefined ? { status: 'conflict' } : { status: 'answered', answer }
  }
  const running = optionalText(row, 'running_id')
  if (running !== undefined) return { status: running === requestId ? 'in-progress' : 'conflict' }

  const order = balanceOf({ orderId, fixed }, row)
  const refusal = refusalOf(order, maxFee) ?? keepVoucher(database, { order, request })
  if (refusal !== undefined) return refusal
  database.run(
    'INSERT INTO reservations (order_id, idx, request_id, max_fee, fence, owner) VALUES (?, ?, ?, ?, ?, ?)',
    [orderId, index.toString(), requestId, maxFee.toString(), holder.fence, holder.owner],
  )
  return { status: 'reserved', reservation: { ...request, fence: holder.fence } }
}

function refusalOf(order: OrderBalance, maxFee: bigint): ReserveOutcome | undefined {
  if (order.closing !== undefined) return { status: 'closing', reason: order.closing }
  if (order.chain !== 'open' || order.blocked !== undefined) return { status: 'not-open' }
  if (pinnedHash(order.order) !== undefined) {
    if (order.receiptCount > 0n) return { status: 'exhausted', free: 0n }
    if (order.reservations > 0) return { status: 'in-progress' }
  }
  const free = freeOf(order)
  return maxFee > free ? { status: 'exhausted', free } : undefined
}

/** Keeps the higher voucher, in the transaction that reserves; or says what it had to allow. */
function keepVoucher(
  database: Database,
  { order, request }: { readonly order: OrderBalance; readonly request: ReservationRequest },
): ReserveOutcome | undefined {
  const { voucher: fresh, maxFee } = request
  if (fresh === undefined) return undefined
  const kept = order.voucher?.voucher.maxCumulativeFee ?? -1n
  const isHigher = fresh.voucher.maxCumulativeFee > kept
  const allowed = isHigher ? fresh.voucher.maxCumulativeFee : kept
  const needed = committedOf(order) + maxFee
  if (allowed < needed) return { status: 'voucher-too-low', needed }
  if (isHigher) {
    const json = JSON.stringify(toWire(fresh))
    database.run('UPDATE orders SET voucher = ? WHERE order_id = ?', [json, order.orderId])
  }
  return undefined
}

export function commitRow(
  database: Database,
  input: { readonly reservation: Reservation; readonly commitment: Commitment; readonly nowMs: number },
): StoredAnswer {
  const { reservation, commitment, nowMs } = input
  const { orderId, index } = reservation
  const held = heldRow(database, reservation)
  const order = readOrder(database, orderId)
  if (held === undefined || order === undefined) throw new ReservationLostError(reservation)
  const maxFee = amount(held, 'max_fee')
  if (commitment.fee < 0n || commitment.fee > maxFee) throw new FeeOverReservationError({ fee: commitment.fee, maxFee })

  const seq = order.receiptCount
  const cumulativeFee = order.cumulativeFee + commitment.fee
  const { signedReceipt, leaf } = commitment.sign({ seq, cumulativeFee })
  const requestId = hex(held, 'request_id')
  const { body, contentType } = commitment

  abandonRow(database, reservation)
  database.run(
    `INSERT INTO receipts (order_id, seq, idx, request_id, signed_receipt, leaf, content_type, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      orderId,
      Number(seq),
      index.toString(),
      requestId,
      JSON.stringify(toWire(signedReceipt)),
      leaf,
      contentType,
      Buffer.from(body),
    ],
  )
  database.run(
    'UPDATE orders SET receipt_count = ?, cumulative_fee = ?, tree = ?, active_at_ms = ? WHERE order_id = ?',
    [Number(seq) + 1, cumulativeFee.toString(), packTree(appendLeaf(order.tree, leaf)), nowMs, orderId],
  )
  noteUnsettled(database, { orderId, nowMs })
  return { requestId, body, contentType, signedReceipt }
}

export function abandonRow(database: Database, { orderId, index, fence }: Reservation): void {
  database.run('DELETE FROM reservations WHERE order_id = ? AND idx = ? AND fence = ?', [
    orderId,
    index.toString(),
    fence,
  ])
}

function heldRow(database: Database, { orderId, index, fence }: Reservation): Row | undefined {
  return database.get('SELECT * FROM reservations WHERE order_id = ? AND idx = ? AND fence = ?', [
    orderId,
    index.toString(),
    fence,
  ])
}

/** This process lives for another lease; reservations of those that do not are given back. */
export function renewOwner(
  database: Database,
  input: { readonly owner: string; readonly nowMs: number; readonly leaseMs: number },
): void {
  database.run(
    `INSERT INTO owners (owner, lease_until_ms) VALUES (?, ?)
     ON CONFLICT (owner) DO UPDATE SET lease_until_ms = excluded.lease_until_ms`,
    [input.owner, input.nowMs + input.leaseMs],
  )
  if (database.run('DELETE FROM owners WHERE lease_until_ms <= ?', [input.nowMs]) === 0) return
  database.run('DELETE FROM reservations WHERE owner NOT IN (SELECT owner FROM owners)')
}

/** This handle ends; whatever it still reserved is given back. */
export function removeOwner(database: Database, owner: string): void {
  database.run('DELETE FROM reservations WHERE owner = ?', [owner])
  database.run('DELETE FROM owners WHERE owner = ?', [owner])
}

function answerOf(row: Row): StoredAnswer {
  return {
    requestId: hex(row, 'request_id'),
    body: bytes(row, 'body'),
    contentType: text(row, 'content_type'),
    signedReceipt: receiptOf(row),
  }
}

function receiptOf(row: Row): SignedReceipt {
  const value: unknown = JSON.parse(text(row, 'signed_receipt'))
  return parseSignedReceipt(value)
}
