import type { Row } from '@opg/operator'

/** Numbers are whole and below 2^53; amounts travel as decimal text. */
export type SqlValue = string | number | null

/** Statements inside one transaction. `?` stands for a value, in SQLite and in PostgreSQL. */
export interface Statements {
  all(sql: string, values?: readonly SqlValue[]): Promise<readonly Row[]>
  /** How many rows were changed. */
  run(sql: string, values?: readonly SqlValue[]): Promise<number>
}

/** A database in which one transaction writes at a time, whichever process or machine it comes from. */
export interface SqlDatabase {
  /** `INTEGER` or `BIGINT`: whole numbers up to 2^53. */
  readonly integerType: string
  /** All of it or nothing, and on the disk when it resolves. @throws {StoreError} */
  write<T>(operation: string, work: (sql: Statements) => Promise<T>): Promise<T>
  /** Sees what was committed. @throws {StoreError} */
  read<T>(operation: string, work: (sql: Statements) => Promise<T>): Promise<T>
  close(): Promise<void>
}
