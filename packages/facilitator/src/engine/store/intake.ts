import { canonicalJson, toWire, type Settlement } from '@opg/protocol'
import type { Capture, CaptureOutcome } from '../types.js'
import { reachedLimit } from './limits.js'
import { captureText, openingText, readOrder } from './rows.js'
import type { Statements } from './sql.js'
import type { EngineStore, StoredOrder } from './types.js'

/** What comes in from outside. All functions here run inside a transaction of their caller. */

/** Why an order is refused whose opening was taken back by a capture of nothing. */
export const TAKEN_BACK = 'TakenBack'

/** So often the captures of one order may fail on chain. */
const MAX_FAILURES = 10

export async function enqueueRow(
  sql: Statements,
  input: Parameters<EngineStore['enqueue']>[0] & { readonly nowMs: number },
): ReturnType<EngineStore['enqueue']> {
  const { opening, batchKey, attempt, limits, nowMs } = input
  const { orderId, order, terms } = opening
  const known = await readOrder(sql, orderId)
  if (known !== undefined) return known.attempt === attempt ? { status: 'known', order: known } : { status: 'used' }
  const limit = await reachedLimit(sql, { payer: order.payer, node: terms.node, limits, nowMs })
  if (limit !== undefined) return { status: 'limited', limit }
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
  if (order.chain === 'open' && order.tries >= MAX_FAILURES) return { status: 'failed' }
  // Its failures on chain stay counted: each cost gas, and whoever names the verifier can make the next one fail too.
  await sql.run(
    `UPDATE orders SET capture = ?, capture_at_ms = ?, capture_failure = NULL, retry_at_ms = ? WHERE order_id = ?`,
    [captureText(capture), nowMs, nowMs, orderId],
  )
  return { status: 'queued' }
}

function isSame(a: Settlement, b: Settlement): boolean {
  return canonicalJson(toWire(a)) === canonicalJson(toWire(b))
}
