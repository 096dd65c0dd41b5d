import { integer } from '@opg/operator'
import type { Address } from '@opg/protocol'
import type { Statements } from './sql.js'
import type { Quotas, ReachedQuota } from './types.js'

/**
 * Openings that cost gas, and those of them that have brought no fee worth it yet. One that was refused before it was
 * written costs nothing; `tries` says that one was written and failed. Word by word as in the indexes of schema.ts.
 */
export const COST = '(refused IS NULL OR tries > 0)'
export const UNPAID = `${COST} AND paid = 0`

const QUOTAS = {
  maxOpeningsOfPayer: { column: 'payer', where: COST },
  maxOpeningsOfNode: { column: 'node', where: COST },
  maxUnpaidOfPayer: { column: 'payer', where: UNPAID },
  maxUnpaidOfNode: { column: 'node', where: UNPAID },
} as const satisfies Readonly<Record<ReachedQuota['name'], object>>

/** The first quota that one more opening would exceed. The window slides: it ends now. */
export async function reachedQuota(
  sql: Statements,
  input: { readonly payer: Address; readonly node: Address; readonly quotas: Quotas; readonly nowMs: number },
): Promise<ReachedQuota | undefined> {
  const { quotas, nowMs } = input
  const sinceMs = nowMs - quotas.windowMs
  for (const name of Object.keys(QUOTAS) as ReachedQuota['name'][]) {
    const limit = quotas[name]
    if (limit === 0) continue
    const { column, where } = QUOTAS[name]
    const within = `FROM orders WHERE ${column} = ? AND queued_at_ms > ? AND ${where}`
    const values = [input[column], sinceMs]
    // The one that must leave the window before another may come; it is found by going back `limit` rows, and no more.
    const [last] = await sql.all(`SELECT queued_at_ms ${within} ORDER BY queued_at_ms DESC LIMIT 1 OFFSET ?`, [
      ...values,
      limit - 1,
    ])
    if (last === undefined) continue
    const [count] = await sql.all(`SELECT COUNT(*) AS n ${within}`, values)
    const found = count === undefined ? limit : integer(count, 'n')
    return { name, limit, found, freeAtMs: integer(last, 'queued_at_ms') + quotas.windowMs }
  }
  return undefined
}
