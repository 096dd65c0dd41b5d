import { StoreError, WrongChainError, hex, text, type Database } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import type { BooksIdentity } from './types.js'

const VERSION = 'schema version'
const BOOKS_ID = 'books id'
/** Goes up with every change of the tables. */
const SCHEMA_VERSION = 4

/** One tree, no index and no reference, as every request writes here; there are no more rows than requests that run. */
const RESERVATIONS = `CREATE TABLE IF NOT EXISTS reservations (
    order_id TEXT NOT NULL,
    idx TEXT NOT NULL,
    request_id TEXT NOT NULL,
    max_fee TEXT NOT NULL,
    fence TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (order_id, idx)
  ) STRICT, WITHOUT ROWID;`

// STRICT, so that no amount can become a number on its way. `owner` is one opened handle of one process.
const TABLES = `
  CREATE TABLE IF NOT EXISTS orders (
    order_id TEXT PRIMARY KEY,
    terms_hash TEXT NOT NULL,
    terms TEXT NOT NULL,
    body TEXT NOT NULL,
    slice TEXT,
    voucher TEXT,
    network_bps INTEGER NOT NULL,
    royalty_bps INTEGER NOT NULL,
    chain TEXT NOT NULL,
    released TEXT NOT NULL,
    checked_at_ms INTEGER NOT NULL,
    booked_block INTEGER NOT NULL DEFAULT 0,
    closing TEXT,
    blocked TEXT,
    receipt_count INTEGER NOT NULL DEFAULT 0,
    cumulative_fee TEXT NOT NULL DEFAULT '0',
    tree BLOB NOT NULL,
    active_at_ms INTEGER NOT NULL,
    unsettled_since_ms INTEGER,
    entry_id INTEGER REFERENCES entries
  ) STRICT;

  CREATE TABLE IF NOT EXISTS owners (owner TEXT PRIMARY KEY, lease_until_ms INTEGER NOT NULL) STRICT;

  ${RESERVATIONS}

  CREATE TABLE IF NOT EXISTS receipts (
    order_id TEXT NOT NULL REFERENCES orders,
    seq INTEGER NOT NULL,
    idx TEXT NOT NULL,
    request_id TEXT NOT NULL,
    signed_receipt TEXT NOT NULL,
    leaf TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body BLOB NOT NULL,
    is_forgotten INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (order_id, seq),
    UNIQUE (order_id, idx)
  ) STRICT;

  CREATE TABLE IF NOT EXISTS payments (
    order_id TEXT PRIMARY KEY,
    terms TEXT NOT NULL,
    body TEXT NOT NULL,
    request_id TEXT NOT NULL,
    deadline INTEGER NOT NULL,
    state TEXT NOT NULL,
    tx TEXT NOT NULL,
    asks INTEGER NOT NULL,
    ended_at_ms INTEGER
  ) STRICT;
  CREATE INDEX IF NOT EXISTS payments_by_state ON payments (state);

  CREATE TABLE IF NOT EXISTS lane (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    owner TEXT NOT NULL,
    fence TEXT NOT NULL,
    lease_until_ms INTEGER NOT NULL
  ) STRICT;

  CREATE TABLE IF NOT EXISTS entries (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    nonce INTEGER NOT NULL,
    data TEXT NOT NULL,
    gas_limit TEXT NOT NULL,
    settlements TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'pending',
    block_number INTEGER,
    block_hash TEXT,
    outcomes TEXT
  ) STRICT;
  CREATE UNIQUE INDEX IF NOT EXISTS one_pending_entry_per_nonce ON entries (nonce) WHERE state = 'pending';

  CREATE TABLE IF NOT EXISTS attempts (
    hash TEXT PRIMARY KEY,
    entry_id INTEGER NOT NULL REFERENCES entries,
    raw TEXT NOT NULL,
    max_fee_per_gas TEXT NOT NULL,
    max_priority_fee_per_gas TEXT NOT NULL,
    signed_at_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS attempts_by_entry ON attempts (entry_id, signed_at_ms);
`

/** What leads from each version to the next: position 0 from version 1 to 2. */
const MIGRATIONS: readonly string[] = [
  // Slices of routed orders, and vouchers.
  'ALTER TABLE orders ADD COLUMN slice TEXT; ALTER TABLE orders ADD COLUMN voucher TEXT;',
  // Payments over x402: a table of their own. Reservations without an index.
  `ALTER TABLE reservations RENAME TO reservations_2; ${RESERVATIONS}
   INSERT INTO reservations SELECT order_id, idx, request_id, max_fee, fence, owner FROM reservations_2;
   DROP TABLE reservations_2;
   CREATE TABLE payments (
     order_id TEXT PRIMARY KEY,
     terms TEXT NOT NULL,
     body TEXT NOT NULL,
     request_id TEXT NOT NULL,
     deadline INTEGER NOT NULL,
     state TEXT NOT NULL,
     tx TEXT NOT NULL
   ) STRICT;`,
  // How many asked for a lock without being refused, once at least; when payments ended; answers without their body.
  `ALTER TABLE receipts ADD COLUMN is_forgotten INTEGER NOT NULL DEFAULT 0;
   ALTER TABLE payments ADD COLUMN asks INTEGER NOT NULL DEFAULT 1;
   ALTER TABLE payments ADD COLUMN ended_at_ms INTEGER;
   UPDATE payments SET ended_at_ms = CAST(strftime('%s', 'now') AS INTEGER) * 1000 WHERE state = 'ended';`,
]

/**
 * Makes the tables where they are not there yet, brings those of an earlier version up to date, and ties the file to
 * its node. All of it or nothing: it is one transaction.
 *
 * @param options `freshId`: 32 random bytes, for a file that has no name of its own yet
 * @throws {WrongChainError} if it is the file of another node, escrow or chain, or of a later version
 */
export async function prepareSchema(
  database: Database,
  { identity, freshId }: { readonly identity: BooksIdentity; readonly freshId: Hex },
): Promise<void> {
  await database.write('making the tables', () => {
    database.script('CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT')
    for (let version = versionOf(database); version < SCHEMA_VERSION; version++) {
      const migration = MIGRATIONS[version - 1]
      if (migration === undefined) break // no version that ever was: refused below
      database.script(migration)
      database.run('UPDATE meta SET value = ? WHERE name = ?', [String(version + 1), VERSION])
    }
    database.script(TABLES)
    bind(database, { name: VERSION, value: String(SCHEMA_VERSION) })
    bind(database, { name: 'node', value: identity.node })
    bind(database, { name: 'escrow', value: identity.escrow })
    bind(database, { name: 'chain id', value: identity.chainId.toString() })
    database.run('INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING', [BOOKS_ID, freshId])
  })
}

/** The name of these books, 32 random bytes: the same for all who share them, and for no others. */
export function booksId(database: Database): Hex {
  const row = database.get('SELECT value FROM meta WHERE name = ?', [BOOKS_ID])
  if (row === undefined) throw new StoreError('reading the name of the books')
  return hex(row, 'value')
}

/** The file's version; the present one where it is new. */
function versionOf(database: Database): number {
  const row = database.get('SELECT value FROM meta WHERE name = ?', [VERSION])
  return row === undefined ? SCHEMA_VERSION : Number(text(row, 'value'))
}

function bind(database: Database, { name, value }: { readonly name: string; readonly value: string }): void {
  database.run('INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT DO NOTHING', [name, value])
  const row = database.get('SELECT value FROM meta WHERE name = ?', [name])
  const found = row === undefined ? 'missing' : text(row, 'value')
  if (found !== value) throw new WrongChainError(`The database's ${name}`, { expected: value, found })
}
