import { integer, optionalInteger } from '@opg/operator'
import type { Address } from '@opg/protocol'
import type { SqlValue, Statements } from './sql.js'
import type { LimitReached, Limits } from './types.js'

const HOUR_MS = 3_600_000

interface Counted {
  readonly n: number
  /** Of the oldest. */
  readonly queuedAtMs: number | undefined
}

const NOTHING: Counted = { n: 0, queuedAtMs: undefined }

/**
 * The first limit that one more order would exceed. Who has gas spent on orders that earn nothing is stopped for a while.
 * Who is refused by a simulation costs nothing; who passes it and fails on chain does. It runs for each order while nobody
 * else can write, so nothing is counted that has no limit.
 */
export async function reachedLimit(
  sql: Statements,
  input: { readonly payer: Address; readonly node: Address; readonly limits: Limits; readonly nowMs: number },
): Promise<LimitReached | undefined> {
  const { payer, node, limits, nowMs } = input
  const since = nowMs - HOUR_MS
  const unopened = `chain = 'none' AND refused IS NULL`
  const cost = 'queued_at_ms > ? AND (refused IS NULL OR tries > 0)'
  const counts: Readonly<Record<LimitReached['name'], () => Promise<Counted>>> = {
    maxUnopenedOfPayer: () => count(`${unopened} AND payer = ?`, [payer]),
    maxUnopened: () => count(unopened, []),
    maxUnpaidOfPayer: async () =>
      both(await count(`payer = ? AND chain <> 'closed' AND ${cost}`, [payer, since]), await unpaid('payer', payer)),
    maxUnpaidOfNode: () => unpaid('node', node),
    maxOpeningsOfPayer: () => count(`payer = ? AND ${cost}`, [payer, since]),
    maxOpeningsOfNode: () => count(`node = ? AND ${cost}`, [node, since]),
  }
  for (const name of Object.keys(counts) as LimitReached['name'][]) {
    const limit = limits[name]
    if (limit === 0) continue
    const { n: found, queuedAtMs } = await counts[name]()
    if (found < limit) continue
    const isStanding = name === 'maxUnopened' || name === 'maxUnopenedOfPayer'
    return isStanding || queuedAtMs === undefined
      ? { name, limit, found }
      : { name, limit, found, freeAtMs: queuedAtMs + HOUR_MS }
  }
  return undefined

  async function count(where: string, values: readonly SqlValue[]): Promise<Counted> {
    const [row] = await sql.all(`SELECT COUNT(*) AS n, MIN(queued_at_ms) AS oldest FROM orders WHERE ${where}`, values)
    return row === undefined ? NOTHING : { n: integer(row, 'n'), queuedAtMs: optionalInteger(row, 'oldest') }
  }

  /** Decimal digits: more of them are more. What others closed long ago has no fee that is known, and counts as paid. */
  function unpaid(column: 'payer' | 'node', account: Address): Promise<Counted> {
    const least = limits.leastFee.toString()
    const { length } = least
    const lengths = Array.from({ length }, (_, place) => place + 1)
    return count(
      `${column} = ? AND chain = 'closed' AND LENGTH(captured) IN (${lengths.join(', ')}) AND queued_at_ms > ?
         AND (LENGTH(captured) < ? OR captured < ?)`,
      [account, since, length, least],
    )
  }
}

function both(one: Counted, other: Counted): Counted {
  const times = [one, other].flatMap(({ queuedAtMs }) => (queuedAtMs === undefined ? [] : [queuedAtMs]))
  return { n: one.n + other.n, queuedAtMs: times.length === 0 ? undefined : Math.min(...times) }
}
