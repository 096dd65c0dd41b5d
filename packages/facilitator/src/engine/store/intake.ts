import { integer } from '@opg/operator'
import { canonicalJson, toWire, type Settlement } from '@opg/protocol'
import type { Capture, CaptureOutcome } from '../types.js'
import { captureText, openingText, readOrder } from './rows.js'
import type { Statements } from './sql.js'
import type { EngineStore, LimitReached, Limits, StoredOrder } from './types.js'

/** What comes in from outside. All functions here run inside a transaction of their caller. */

/** Why an order is refused whose opening was taken back by a capture of nothing. */
export const TAKEN_BACK = 'TakenBack'

const HOUR_MS = 3_600_000

export async function enqueueRow(
  sql: Statements,
  input: Parameters<EngineStore['enqueue']>[0] & { readonly nowMs: number },
): ReturnType<EngineStore['enqueue']> {
  const { opening, batchKey, attempt, limits, nowMs } = input
  const { orderId, order, terms } = opening
  const known = await readOrder(sql, orderId)
  if (known !== undefined) return known.attempt === attempt ? { status: 'known', order: known } : { status: 'used' }
  const limit = await reached(sql, { payer: order.payer, node: terms.node, limits, nowMs })
  if (limit !== undefined) return { status: 'limited', reason: limit }
  await sql.run(
    `INSERT INTO orders
       (order_id, payer, node, claim_by, batch_key, opening, attempt, queued_at_ms, retry_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [orderId, order.payer, terms.node, order.claimBy, batchKey, openingText(opening), attempt, nowMs, nowMs],
  )
  const queued: StoredOrder = {
    orderId,
    opening,
    attempt,
    batchKey,
    tries: 0,
    chain: 'none',
    refused: undefined,
    isOpening: false,
    isClosing: false,
    openedTx: undefined,
    openedBlock: undefined,
    capture: undefined,
    captureFailure: undefined,
    closedTx: undefined,
    captured: undefined,
  }
  return { status: 'queued', order: queued }
}

async function reached(
  sql: Statements,
  input: { readonly payer: string; readonly node: string; readonly limits: Limits; readonly nowMs: number },
): Promise<LimitReached | undefined> {
  const { payer, limits } = input
  const count = `SELECT COUNT(*) AS n FROM orders WHERE chain = 'none' AND refused IS NULL`
  const [ofPayer] = await sql.all(`${count} AND payer = ?`, [payer])
  if (ofPayer !== undefined && integer(ofPayer, 'n') >= limits.maxUnopenedOfPayer) return 'payer'
  const [all] = await sql.all(count)
  if (all !== undefined && integer(all, 'n') >= limits.maxUnopened) return 'all'
  return unpaidReached(sql, input)
}

/** Who has gas spent on orders that earn nothing is stopped for a while. Who is refused by the chain costs nothing. */
async function unpaidReached(
  sql: Statements,
  input: { readonly payer: string; readonly node: string; readonly limits: Limits; readonly nowMs: number },
): Promise<LimitReached | undefined> {
  const { payer, node, nowMs } = input
  const { leastFee, maxUnpaidOfPayer, maxUnpaidOfNode } = input.limits
  const least = leastFee.toString()
  const { length } = least
  // Decimal digits: more of them are more. What others closed long ago has no fee that is known.
  const paid = `(captured IS NULL OR LENGTH(captured) > ? OR (LENGTH(captured) = ? AND captured >= ?))`
  const since = nowMs - HOUR_MS
  const [ofPayer] = await sql.all(
    `SELECT COUNT(*) AS n FROM orders
     WHERE payer = ? AND queued_at_ms > ? AND refused IS NULL AND NOT (chain = 'closed' AND ${paid})`,
    [payer, since, length, length, least],
  )
  if (ofPayer !== undefined && integer(ofPayer, 'n') >= maxUnpaidOfPayer) return 'unpaid-payer'
  const [ofNode] = await sql.all(
    `SELECT COUNT(*) AS n FROM orders WHERE node = ? AND queued_at_ms > ? AND chain = 'closed' AND NOT ${paid}`,
    [node, since, length, length, least],
  )
  return ofNode !== undefined && integer(ofNode, 'n') >= maxUnpaidOfNode ? 'unpaid-node' : undefined
}

export async function enqueueCaptureRow(
  sql: Statements,
  { capture, nowMs }: { readonly capture: Capture; readonly nowMs: number },
): Promise<CaptureOutcome> {
  const { orderId, settlement } = capture
  const order = await readOrder(sql, orderId)
  if (order === undefined) return { status: 'unknown' }
  const { cumulativeFee } = settlement
  if (order.refused !== undefined && cumulativeFee > 0n) return { status: 'unknown' }
  if (order.chain === 'none' && !order.isOpening && cumulativeFee === 0n) {
    // Kept all the same: a stranger may open the order yet.
    await sql.run(
      'UPDATE orders SET refused = COALESCE(refused, ?), capture = ?, capture_at_ms = ? WHERE order_id = ?',
      [TAKEN_BACK, captureText(capture), nowMs, orderId],
    )
    return { status: 'done', transaction: undefined }
  }
  if (order.capture !== undefined && (order.captureFailure === undefined || order.isClosing)) {
    if (!isSame(order.capture.settlement, settlement)) return { status: 'conflict' }
    if (order.chain !== 'closed') return { status: 'queued' }
    if (order.captured === undefined || order.captured === cumulativeFee) {
      return { status: 'done', transaction: order.closedTx }
    }
  }
  // It ended otherwise.
  if (order.chain === 'closed') return { status: 'conflict' }
  await sql.run(
    `UPDATE orders SET capture = ?, capture_at_ms = ?, capture_failure = NULL, retry_at_ms = ?,
       tries = CASE WHEN chain = 'open' THEN 0 ELSE tries END
     WHERE order_id = ?`,
    [captureText(capture), nowMs, nowMs, orderId],
  )
  return { status: 'queued' }
}

function isSame(a: Settlement, b: Settlement): boolean {
  return canonicalJson(toWire(a)) === canonicalJson(toWire(b))
}
