/** The tables as version 1 made them. */
export const TABLES_OF_VERSION_1 = `
  CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

  CREATE TABLE IF NOT EXISTS orders (
    order_id TEXT PRIMARY KEY,
    terms_hash TEXT NOT NULL,
    terms TEXT NOT NULL,
    body TEXT NOT NULL,
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

  CREATE TABLE IF NOT EXISTS reservations (
    order_id TEXT NOT NULL REFERENCES orders,
    idx TEXT NOT NULL,
    request_id TEXT NOT NULL,
    max_fee TEXT NOT NULL,
    fence TEXT NOT NULL,
    owner TEXT NOT NULL,
    PRIMARY KEY (order_id, idx)
  ) STRICT;
  CREATE INDEX IF NOT EXISTS reservations_by_owner ON reservations (owner);

  CREATE TABLE IF NOT EXISTS receipts (
    order_id TEXT NOT NULL REFERENCES orders,
    seq INTEGER NOT NULL,
    idx TEXT NOT NULL,
    request_id TEXT NOT NULL,
    signed_receipt TEXT NOT NULL,
    leaf TEXT NOT NULL,
    content_type TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (order_id, seq),
    UNIQUE (order_id, idx)
  ) STRICT;

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

/** What brings tables of version 1 to those of version 3, as far as payments go. */
export const PAYMENTS_OF_VERSION_3 = `
  ALTER TABLE orders ADD COLUMN slice TEXT;
  ALTER TABLE orders ADD COLUMN voucher TEXT;
  CREATE TABLE payments (
    order_id TEXT PRIMARY KEY,
    terms TEXT NOT NULL,
    body TEXT NOT NULL,
    request_id TEXT NOT NULL,
    deadline INTEGER NOT NULL,
    state TEXT NOT NULL,
    tx TEXT NOT NULL
  ) STRICT;
  CREATE INDEX payments_by_state ON payments (state);
  UPDATE meta SET value = '3' WHERE name = 'schema version';
`
