import { WrongChainError, text } from '@opg/operator'
import type { Address } from '@opg/protocol'
import type { SqlDatabase, Statements } from './sql.js'

/** What the books belong to. */
export interface BooksIdentity {
  readonly escrow: Address
  /** The live chain id. */
  readonly chainId: bigint
}

/** Of the schema. A change of it comes with what leads there from the version before. */
const SCHEMA_VERSION = 1
const VERSION = 'schema version'

/**
 * `chain` is what the books hold the chain to say: none, open or closed. `open_entry` and `close_entry` are the
 * transactions in flight that change it. Of an order nothing is ever deleted: it may be locked once (attempts).
 */
const tables = (integer: string): readonly string[] => [
  `CREATE TABLE IF NOT EXISTS orders (
    order_id TEXT PRIMARY KEY,
    payer TEXT NOT NULL,
    node TEXT NOT NULL,
    claim_by ${integer} NOT NULL,
    batch_key TEXT NOT NULL,
    opening TEXT NOT NULL,
    attempt TEXT NOT NULL,
    queued_at_ms ${integer} NOT NULL,
    retry_at_ms ${integer} NOT NULL,
    claimed_by TEXT,
    claimed_until_ms ${integer} NOT NULL DEFAULT 0,
    tries ${integer} NOT NULL DEFAULT 0,
    chain TEXT NOT NULL DEFAULT 'none',
    refused TEXT,
    open_entry TEXT,
    opened_tx TEXT,
    opened_block ${integer},
    capture TEXT,
    capture_at_ms ${integer},
    capture_failure TEXT,
    close_entry TEXT,
    closed_tx TEXT,
    captured TEXT,
    seen_block ${integer},
    seen_hash TEXT,
    ended ${integer} NOT NULL DEFAULT 0
  )`,
  `CREATE INDEX IF NOT EXISTS orders_unopened ON orders (queued_at_ms) WHERE chain = 'none' AND refused IS NULL`,
  `CREATE INDEX IF NOT EXISTS orders_unopened_of_payer ON orders (payer) WHERE chain = 'none' AND refused IS NULL`,
  `CREATE INDEX IF NOT EXISTS orders_running_of_payer ON orders (payer, queued_at_ms) WHERE chain <> 'closed'`,
  `CREATE INDEX IF NOT EXISTS orders_closed_of_payer ON orders (payer, LENGTH(captured), queued_at_ms)
     WHERE chain = 'closed'`,
  `CREATE INDEX IF NOT EXISTS orders_closed_of_node ON orders (node, LENGTH(captured), queued_at_ms)
     WHERE chain = 'closed'`,
  `CREATE INDEX IF NOT EXISTS orders_by_payer ON orders (payer, queued_at_ms, refused, tries)`,
  `CREATE INDEX IF NOT EXISTS orders_by_node ON orders (node, queued_at_ms, refused, tries)`,
  `CREATE INDEX IF NOT EXISTS orders_to_capture ON orders (capture_at_ms) WHERE ended = 0 AND capture IS NOT NULL`,
  `CREATE INDEX IF NOT EXISTS orders_to_end ON orders (claim_by) WHERE ended = 0`,
  `CREATE INDEX IF NOT EXISTS orders_seen ON orders (seen_block) WHERE seen_block IS NOT NULL`,
  `CREATE INDEX IF NOT EXISTS orders_by_open_entry ON orders (open_entry) WHERE open_entry IS NOT NULL`,
  `CREATE INDEX IF NOT EXISTS orders_by_close_entry ON orders (close_entry) WHERE close_entry IS NOT NULL`,
  `CREATE TABLE IF NOT EXISTS lanes (
    sender TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    fence TEXT NOT NULL,
    lease_until_ms ${integer} NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS entries (
    id TEXT PRIMARY KEY,
    sender TEXT NOT NULL,
    kind TEXT NOT NULL,
    nonce ${integer} NOT NULL,
    data TEXT NOT NULL,
    gas_limit TEXT NOT NULL,
    order_ids TEXT NOT NULL,
    state TEXT NOT NULL,
    block_number ${integer},
    block_hash TEXT
  )`,
  `CREATE UNIQUE INDEX IF NOT EXISTS one_pending_entry_per_nonce ON entries (sender, nonce) WHERE state = 'pending'`,
  `CREATE INDEX IF NOT EXISTS entries_by_block ON entries (sender, block_number)`,
  `CREATE TABLE IF NOT EXISTS attempts (
    hash TEXT PRIMARY KEY,
    entry_id TEXT NOT NULL REFERENCES entries (id),
    place ${integer} NOT NULL,
    raw TEXT NOT NULL,
    max_fee_per_gas TEXT NOT NULL,
    max_priority_fee_per_gas TEXT NOT NULL,
    signed_at_ms ${integer} NOT NULL
  )`,
  `CREATE INDEX IF NOT EXISTS attempts_by_entry ON attempts (entry_id, place)`,
]

/**
 * Makes the tables where they are missing, and ties them to an escrow on a chain.
 *
 * @throws {WrongChainError} if they are those of another escrow or chain, or of another version
 */
export async function prepareSchema(database: SqlDatabase, identity: BooksIdentity): Promise<void> {
  await database.write('making the tables', async (sql) => {
    await sql.run('CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)')
    await bind(sql, { name: VERSION, value: String(SCHEMA_VERSION) })
    await bind(sql, { name: 'escrow', value: identity.escrow })
    await bind(sql, { name: 'chain id', value: identity.chainId.toString() })
    for (const statement of tables(database.integerType)) await sql.run(statement)
  })
}

async function bind(
  sql: Statements,
  { name, value }: { readonly name: string; readonly value: string },
): Promise<void> {
  await sql.run('INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING', [name, value])
  const [row] = await sql.all('SELECT value FROM meta WHERE name = ?', [name])
  const found = row === undefined ? 'missing' : text(row, 'value')
  if (found !== value) throw new WrongChainError(`The database's ${name}`, { expected: value, found })
}
