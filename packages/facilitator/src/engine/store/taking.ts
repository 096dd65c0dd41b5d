import { integer, text } from '@opg/operator'
import { orderOf, placeholders } from './rows.js'
import type { SqlValue, Statements } from './sql.js'
import type { LaneLease, StoredOrder } from './types.js'

/** What a lane takes for itself. All functions here run inside a transaction of their caller. */

/** When, and until when it is taken. Milliseconds. */
interface Moment {
  readonly nowMs: number
  readonly untilMs: number
}

/** Neither at rest, nor taken by another lane that lives. */
const FREE = 'retry_at_ms <= ? AND (claimed_until_ms <= ? OR claimed_by = ?)'

export async function takeOpeningRows(
  sql: Statements,
  input: { readonly lease: LaneLease; readonly limit: number; readonly gatheredByMs: number } & Moment,
): Promise<readonly StoredOrder[]> {
  const { lease, limit, gatheredByMs, nowMs } = input
  const rows = await sql.all(
    `SELECT * FROM orders WHERE chain = 'none' AND refused IS NULL AND open_entry IS NULL AND ${FREE}
     ORDER BY queued_at_ms LIMIT ?`,
    [nowMs, nowMs, lease.fence, limit],
  )
  const [oldest] = rows
  if (oldest === undefined) return []
  if (rows.length < limit && integer(oldest, 'queued_at_ms') > gatheredByMs) return []
  return take(sql, { ...input, rows })
}

export async function takeCaptureRows(
  sql: Statements,
  input: {
    readonly lease: LaneLease
    readonly limit: number
    readonly queuedByMs: number
    readonly urgentBy: number
  } & Moment,
): Promise<readonly StoredOrder[]> {
  const { lease, limit, queuedByMs, urgentBy, nowMs } = input
  const rows = await sql.all(
    `SELECT * FROM orders WHERE ended = 0 AND capture IS NOT NULL AND capture_failure IS NULL AND chain = 'open'
       AND close_entry IS NULL AND ${FREE}
     ORDER BY CASE WHEN claim_by <= ? THEN 0 ELSE 1 END, capture_at_ms LIMIT ?`,
    [nowMs, nowMs, lease.fence, urgentBy, limit],
  )
  const isDue =
    rows.length >= limit ||
    rows.some((row) => integer(row, 'capture_at_ms') <= queuedByMs || integer(row, 'claim_by') <= urgentBy)
  return isDue ? take(sql, { ...input, rows }) : []
}

export async function takeExpiredRows(
  sql: Statements,
  input: { readonly lease: LaneLease; readonly limit: number; readonly claimBy: number } & Moment,
): Promise<readonly StoredOrder[]> {
  const { lease, limit, claimBy, nowMs } = input
  const rows = await sql.all(
    `SELECT * FROM orders WHERE ended = 0 AND claim_by <= ? AND open_entry IS NULL AND close_entry IS NULL
       AND (refused IS NOT NULL OR (chain = 'open' AND (capture IS NULL OR capture_failure IS NOT NULL))) AND ${FREE}
     ORDER BY claim_by LIMIT ?`,
    [claimBy, nowMs, nowMs, lease.fence, limit],
  )
  return take(sql, { ...input, rows })
}

async function take(
  sql: Statements,
  input: { readonly lease: LaneLease; readonly rows: Awaited<ReturnType<Statements['all']>> } & Moment,
): Promise<readonly StoredOrder[]> {
  const { lease, rows, untilMs } = input
  if (rows.length === 0) return []
  const ids: readonly SqlValue[] = rows.map((row) => text(row, 'order_id'))
  await sql.run(`UPDATE orders SET claimed_by = ?, claimed_until_ms = ? WHERE order_id IN ${placeholders(ids)}`, [
    lease.fence,
    untilMs,
    ...ids,
  ])
  return rows.map(orderOf)
}
