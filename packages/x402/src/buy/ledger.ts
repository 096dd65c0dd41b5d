import { Database, IN_MEMORY, integer, text, type Row } from '@opg/operator'
import { type Hex, type Order, type Terms, parseOrder, parseTerms, toWire } from '@opg/protocol'

const DAY_SECONDS = 86_400

/** Base units. */
export interface Limits {
  readonly maxPerDay: bigint
  /** To one host in a day. */
  readonly maxPerHost: bigint
}

/** Money that was signed away: an order that a seller can open. */
export interface Authorization {
  readonly orderId: Hex
  /** Origin of the seller. */
  readonly host: string
  readonly terms: Terms
  readonly order: Order
  /** Unix seconds until which it can be opened. */
  readonly deadline: number
  /** No event of it is in an earlier block. */
  readonly fromBlock: number
}

export type Authorized =
  | { readonly status: 'authorized' }
  /** `left`: base units that the limit leaves. */
  | { readonly status: 'refused'; readonly limit: 'day' | 'host'; readonly left: bigint }

/**
 * What was signed away to whom, durable where it has a file, and shared by all processes that use the file. Each method is
 * one transaction.
 */
export interface Ledger {
  /** Writes an authorization down if the limits leave its amount. Call it before anything is signed. */
  authorize(input: Authorization, options: { readonly limits: Limits; readonly now: number }): Promise<Authorized>
  /** Takes back an authorization that was never signed. */
  forget(orderId: Hex): Promise<void>
  /** Notes that the chain shows an order at its end. From here on only `spent`, in base units, counts. */
  finish(orderId: Hex, spent: bigint): Promise<void>
  /** Those that may still cost something, oldest first. */
  unfinished(): Promise<readonly Authorization[]>
  /** Base units that count at this time. */
  spent(now: number): Promise<bigint>
  blockHost(host: string, reason: string): Promise<void>
  /** Why a host is blocked, if it is. */
  blockedFor(host: string): Promise<string | undefined>
  close(): void
}

/** Opens the ledger in a file; in memory where `path` is absent. @throws {StoreError} */
export async function openLedger(path = IN_MEMORY): Promise<Ledger> {
  const database = new Database(path)
  await database.write('preparing the ledger', () => {
    database.script(`
      CREATE TABLE IF NOT EXISTS authorizations (
        order_id TEXT PRIMARY KEY, host TEXT NOT NULL, terms TEXT NOT NULL, body TEXT NOT NULL, deadline INTEGER NOT NULL,
        from_block INTEGER NOT NULL, signed_at INTEGER NOT NULL, counted TEXT NOT NULL, finished INTEGER NOT NULL
      ) STRICT;
      CREATE TABLE IF NOT EXISTS blocked (host TEXT PRIMARY KEY, reason TEXT NOT NULL) STRICT;`)
  })
  const counting = (now: number): readonly Row[] =>
    database.all('SELECT host, counted FROM authorizations WHERE signed_at > ?', [now - DAY_SECONDS])
  const sumOf = (rows: readonly Row[]): bigint => rows.reduce((sum, row) => sum + BigInt(text(row, 'counted')), 0n)

  return {
    authorize: (input, { limits, now }) =>
      database.write('authorizing', (): Authorized => {
        const { orderId, host, terms, order, deadline, fromBlock } = input
        const rows = counting(now)
        const ofDay = limits.maxPerDay - sumOf(rows)
        const ofHost = limits.maxPerHost - sumOf(rows.filter((row) => row['host'] === host))
        const left = ofDay < ofHost ? ofDay : ofHost
        if (order.amount > left) {
          return { status: 'refused', limit: ofDay <= ofHost ? 'day' : 'host', left: left > 0n ? left : 0n }
        }
        database.run('INSERT INTO authorizations VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)', [
          orderId,
          host,
          JSON.stringify(toWire(terms)),
          JSON.stringify(toWire(order)),
          deadline,
          fromBlock,
          now,
          order.amount.toString(),
        ])
        return { status: 'authorized' }
      }),
    forget: (orderId) =>
      database.write('forgetting an authorization', () => {
        database.run('DELETE FROM authorizations WHERE order_id = ?', [orderId])
      }),
    finish: (orderId, spent) =>
      database.write('finishing an authorization', () => {
        const values = [spent.toString(), orderId]
        database.run('UPDATE authorizations SET counted = ?, finished = 1 WHERE order_id = ?', values)
      }),
    unfinished: () =>
      database.read('reading authorizations', () =>
        database.all('SELECT * FROM authorizations WHERE finished = 0 ORDER BY rowid').map(authorizationOf),
      ),
    spent: (now) => database.read('reading what was spent', () => sumOf(counting(now))),
    blockHost: (host, reason) =>
      database.write('blocking a host', () => {
        database.run('INSERT INTO blocked VALUES (?, ?) ON CONFLICT DO NOTHING', [host, reason])
      }),
    blockedFor: (host) =>
      database.read('reading blocked hosts', () => {
        const row = database.get('SELECT reason FROM blocked WHERE host = ?', [host])
        return row === undefined ? undefined : text(row, 'reason')
      }),
    close: () => {
      database.close()
    },
  }
}

function authorizationOf(row: Row): Authorization {
  const terms: unknown = JSON.parse(text(row, 'terms'))
  const order: unknown = JSON.parse(text(row, 'body'))
  return {
    orderId: `0x${text(row, 'order_id').slice(2)}`,
    host: text(row, 'host'),
    terms: parseTerms(terms),
    order: parseOrder(order),
    deadline: integer(row, 'deadline'),
    fromBlock: integer(row, 'from_block'),
  }
}
