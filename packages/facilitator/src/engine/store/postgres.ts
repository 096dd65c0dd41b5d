import { type Logger, type Row, asStoreError } from '@opg/operator'
import pg from 'pg'
import type { SqlDatabase, SqlValue, Statements } from './sql.js'

/** Any number that other programs of the same database do not take. */
const WRITE_LOCK = 8_402_402
/** Transactions here take milliseconds: whoever waits longer waits for a broken process. */
const TIMEOUT_MS = 10_000
const CONNECTIONS = 8

/** Books in PostgreSQL, for instances on several machines. Nothing is asked of it yet. */
export function openPostgres(connectionString: string, { logger }: { readonly logger: Logger }): SqlDatabase {
  const pool = new pg.Pool({
    connectionString,
    max: CONNECTIONS,
    connectionTimeoutMillis: TIMEOUT_MS,
    statement_timeout: TIMEOUT_MS,
    // A process that stands still in the middle of a transaction must not keep the others out.
    idle_in_transaction_session_timeout: TIMEOUT_MS,
    types: {
      getTypeParser: (type, format) =>
        type === pg.types.builtins.INT8 ? Number : (pg.types.getTypeParser(type, format) as (text: string) => unknown),
    },
  })
  // Of connections that nobody uses just now; the next use finds out by itself.
  pool.on('error', (error) => {
    logger.warn({ detail: error.message }, 'the database closed a connection')
  })

  return {
    integerType: 'BIGINT',
    write: (operation, work) =>
      named(operation, async () => {
        const client = await pool.connect()
        let broken: Error | undefined
        try {
          await client.query('BEGIN')
          // One writer at a time, as in SQLite: what a transaction reads, no other changes meanwhile.
          await client.query('SELECT pg_advisory_xact_lock($1)', [WRITE_LOCK])
          const result = await work(statementsOf(client))
          await client.query('COMMIT')
          return result
        } catch (error) {
          await client.query('ROLLBACK').catch((cause: unknown) => {
            broken = asStoreError(operation, cause)
          })
          throw error
        } finally {
          client.release(broken)
        }
      }),
    read: (operation, work) => named(operation, () => work(statementsOf(pool))),
    close: () => pool.end(),
  }
}

function statementsOf(target: Pick<pg.Pool, 'query'>): Statements {
  const query = (sql: string, values: readonly SqlValue[]): Promise<pg.QueryResult<Row>> => {
    let place = 0
    return target.query<Row>(
      sql.replaceAll('?', () => `$${String((place += 1))}`),
      [...values],
    )
  }
  return {
    all: async (sql, values = []) => (await query(sql, values)).rows,
    run: async (sql, values = []) => (await query(sql, values)).rowCount ?? 0,
  }
}

async function named<T>(operation: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw asStoreError(operation, error)
  }
}
