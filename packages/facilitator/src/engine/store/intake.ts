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

/**
 * Who has gas spent on orders that earn nothing is stopped for a while. Who is refused by a simulation costs nothing; who
 * passes it and fails on chain does.
 */
async function unpaidReached(
  sql: Statements,
  input: { readonly payer: string; readonly node: string; readonly limits: Limits; readonly nowMs: number },
): Promise<LimitReached | undefined> {
  const { payer, node, limits, nowMs } = input
  const since = nowMs - HOUR_MS
  // Whatever earns enough is no row that is looked at here: this runs for each order, while nobody else can write.
  const [running] = await sql.all(
    `SELECT COUNT(*) AS n FROM orders
     WHERE payer = ? AND chain <> 'closed' AND queued_at_ms > ? AND (refused IS NULL OR tries > 0)`,
    [payer, since],
  )
  const ofPayer = (running === undefined ? 0 : integer(running, 'n')) + (await unpaid('payer', payer))
  if (ofPayer >= limits.maxUnpaidOfPayer) return 'unpaid-payer'
  return (await unpaid('node', node)) >= limits.maxUnpaidOfNode ? 'unpaid-node' : undefined

  /** Decimal digits: more of them are more. What others closed long ago has no fee that is known, and counts as paid. */
  async function unpaid(column: 'payer' | 'node', account: string): Promise<number> {
    const least = limits.leastFee.toString()
    const { length } = least
    const lengths = Array.from({ length }, (_, place) => place + 1)
    const [row] = await sql.all(
      `SELECT COUNT(*) AS n FROM orders
       WHERE ${column} = ? AND chain = 'closed' AND LENGTH(captured) IN (${lengths.join(', ')}) AND queued_at_ms > ?
         AND (LENGTH(captured) < ? OR captured < ?)`,
      [account, since, length, least],
    )
    return row === undefined ? 0 : integer(row, 'n')
  }
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
