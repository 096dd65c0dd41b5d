import { Database } from '@opg/operator'
import type { SqlDatabase, Statements } from './sql.js'

/** Books in a file, for the processes of one machine. @throws {StoreError} if it cannot be used */
export function openSqlite(path: string): SqlDatabase {
  const database = new Database(path)
  const statements: Statements = {
    all: (sql, values = []) => Promise.resolve(database.all(sql, values)),
    run: (sql, values = []) => Promise.resolve(database.run(sql, values)),
  }
  return {
    integerType: 'INTEGER',
    write: (operation, work) => database.writeAsync(operation, () => work(statements)),
    // There is one connection: a read in between would see half a transaction.
    read: (operation, work) => database.writeAsync(operation, () => work(statements)),
    close: () =>
      database
        .writeAsync('closing', () => Promise.resolve())
        .finally(() => {
          database.close()
        }),
  }
}
