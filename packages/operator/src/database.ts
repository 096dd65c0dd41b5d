import Libsql from 'libsql'
import { closeSync, openSync } from 'node:fs'
import { resolve as resolvePath } from 'node:path'
import { StoreError } from './errors.js'

/** A value that a statement takes. Numbers are whole and below 2^53; anything larger travels as text. */
export type Bindable = string | number | null | Uint8Array

/** A row as it was read. Read its members with `text`, `integer`, `bytes` and their `optional` forms. */
export type Row = Readonly<Record<string, unknown>>

/** Ten seconds: transactions here take milliseconds, so whoever waits longer waits for a broken process. */
const BUSY_TIMEOUT_MS = 10_000

/** The path of a database that ends with its connection. */
export const IN_MEMORY = ':memory:'

/** Of each file, the last piece of work that awaits. */
const turns = new Map<string, Promise<unknown>>()

interface SharedWork {
  /** What must be done once before it, in the same transaction. */
  readonly first: (() => void) | undefined
  /** Does it inside of a transaction of many; gives back how to say so once that is on the disk. */
  readonly together: () => () => void
  /** Does it in a transaction of its own. */
  readonly alone: () => void
  readonly fail: (error: unknown) => void
}

/** One connection. Everything is synchronous inside, so no other work can slip into a transaction. */
export class Database {
  readonly #connection: Libsql.Database
  readonly #statements = new Map<string, Libsql.Statement<[readonly Bindable[]]>>()
  readonly #path: string
  /** Work that waits for the end of this turn of the event loop. */
  #shared: SharedWork[] = []
  #isClosed = false

  constructor(path: string) {
    this.#path = resolvePath(path)
    this.#connection = this.#guard('opening', () => {
      // Answers of clients are in it, so it is for its owner's eyes. SQLite gives its side files the same mode.
      if (path !== IN_MEMORY) closeSync(openSync(path, 'a', 0o600))
      const connection = new Libsql(path, { timeout: BUSY_TIMEOUT_MS })
      connection.pragma('journal_mode = WAL')
      // FULL: a commit is on the disk when it returns, also after a loss of power (N2).
      connection.pragma('synchronous = FULL')
      connection.pragma('foreign_keys = ON')
      return connection
    })
  }

  /** One transaction that takes the write lock at once; rejects, with nothing changed, if `work` throws. */
  write<T>(operation: string, work: () => T): Promise<T> {
    this.#writeShared() // what was asked for first is done first
    return this.#transaction({ operation, begin: 'BEGIN IMMEDIATE', work })
  }

  /**
   * As `write`, together with all else that is shared in this turn of the event loop: one transaction and one wait for the
   * disk for many. Each piece of work succeeds or fails by itself; where one fails, all run once more, each alone, so work
   * changes nothing but the database. Not for a database that is written to by `writeAsync`.
   *
   * @param options `first`: what must be done before it; once in a transaction, though many ask for it
   */
  share<T>(operation: string, work: () => T, { first }: { readonly first?: () => void } = {}): Promise<T> {
    return new Promise((resolve, reject) => {
      if (this.#shared.length === 0) {
        setImmediate(() => {
          this.#writeShared()
        })
      }
      this.#shared.push({
        first,
        together: () => {
          const result = work()
          return () => {
            resolve(result)
          }
        },
        alone: () => {
          const whole = (): T => {
            first?.()
            return work()
          }
          this.#transaction({ operation, begin: 'BEGIN IMMEDIATE', work: whole }).then(resolve, reject)
        },
        fail: reject,
      })
    })
  }

  /** Reads by one statement, which sees a single state of the database by itself. */
  look<T>(operation: string, work: () => T): Promise<T> {
    return new Promise((resolve) => {
      this.#requireOpen(operation)
      resolve(this.#guard(operation, work))
    })
  }

  /** One transaction that sees a single state of the database. */
  read<T>(operation: string, work: () => T): Promise<T> {
    return this.#transaction({ operation, begin: 'BEGIN', work })
  }

  /**
   * As `write`, for work that awaits: one at a time for a file in this process, in which a second connection would stop
   * all while it waits for the first. Whatever the work awaits must come of this database, since others wait meanwhile.
   */
  writeAsync<T>(operation: string, work: () => Promise<T>): Promise<T> {
    const next = (turns.get(this.#path) ?? Promise.resolve()).then(async () => {
      this.#requireOpen(operation)
      try {
        this.#connection.exec('BEGIN IMMEDIATE')
        const result = await work()
        this.#connection.exec('COMMIT')
        return result
      } catch (error) {
        if (this.#connection.inTransaction) this.#connection.exec('ROLLBACK')
        throw asStoreError(operation, error)
      }
    })
    turns.set(
      this.#path,
      next.catch(() => undefined),
    )
    return next
  }

  all(sql: string, values: readonly Bindable[] = []): readonly Row[] {
    return this.#statement(sql).all(values) as readonly Row[]
  }

  get(sql: string, values: readonly Bindable[] = []): Row | undefined {
    // The driver ends the statement after the first row, so it holds no lock.
    return this.#statement(sql).get(values) as Row | undefined
  }

  /** How many rows were changed. */
  run(sql: string, values: readonly Bindable[] = []): number {
    return this.#statement(sql).run(values).changes
  }

  /** Statements without values, several at once. */
  script(sql: string): void {
    this.#connection.exec(sql)
  }

  /** What is asked of it afterwards is a `StoreError`. */
  close(): void {
    if (this.#isClosed) return
    this.#writeShared()
    this.#isClosed = true
    this.#statements.clear()
    this.#connection.close()
  }

  #writeShared(): void {
    const works = this.#shared
    if (works.length === 0) return
    this.#shared = []
    let isBegun = false
    this.#transaction({
      operation: 'writing together',
      begin: 'BEGIN IMMEDIATE',
      work: () => {
        isBegun = true
        for (const first of new Set(works.map((one) => one.first))) first?.()
        return works.map(({ together }) => together())
      },
    }).then(
      (settled) => {
        for (const settle of settled) settle()
      },
      (error: unknown) => {
        // Where others hold the lock for too long, each would wait for as long again.
        for (const { alone, fail } of works) {
          if (isBegun) alone()
          else fail(error)
        }
      },
    )
  }

  #transaction<T>(input: { readonly operation: string; readonly begin: string; readonly work: () => T }): Promise<T> {
    return new Promise((resolve) => {
      resolve(
        this.#guard(input.operation, () => {
          this.#requireOpen(input.operation)
          this.#connection.exec(input.begin)
          try {
            const result = input.work()
            this.#connection.exec('COMMIT')
            return result
          } catch (error) {
            if (this.#connection.inTransaction) this.#connection.exec('ROLLBACK')
            throw error
          }
        }),
      )
    })
  }

  /** The driver ends the process where a closed connection is used. */
  #requireOpen(operation: string): void {
    if (this.#isClosed) throw new StoreError(operation)
  }

  #statement(sql: string): Libsql.Statement<[readonly Bindable[]]> {
    const known = this.#statements.get(sql)
    if (known !== undefined) return known
    const statement = this.#connection.prepare<[readonly Bindable[]]>(sql)
    this.#statements.set(sql, statement)
    return statement
  }

  /** Named errors come through as they are; what the database throws is named here. */
  #guard<T>(operation: string, work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw asStoreError(operation, error)
    }
  }
}

/** What a database threw, by its name; an error of ours that came through it stays what it is. */
export function asStoreError(operation: string, error: unknown): Error {
  if (error instanceof Error && 'code' in error && isOwnCode(error.code)) return error
  return new StoreError(operation, { cause: error })
}

export function text(row: Row, column: string): string {
  const value = row[column]
  if (typeof value !== 'string') throw unexpected(column)
  return value
}

export function optionalText(row: Row, column: string): string | undefined {
  return row[column] === null ? undefined : text(row, column)
}

export function integer(row: Row, column: string): number {
  const value = row[column]
  if (typeof value !== 'number' || !Number.isSafeInteger(value)) throw unexpected(column)
  return value
}

export function optionalInteger(row: Row, column: string): number | undefined {
  return row[column] === null ? undefined : integer(row, column)
}

/** Amounts are decimal text: SQLite's integers have 63 bits, and amounts 96. Sums are made here, not in SQL. */
export function amount(row: Row, column: string): bigint {
  return BigInt(text(row, column))
}

export function bytes(row: Row, column: string): Uint8Array {
  const value = row[column]
  // The driver gives a Buffer where it reads one row, and an ArrayBuffer where it reads several.
  if (value instanceof Uint8Array) return new Uint8Array(value.buffer, value.byteOffset, value.length)
  if (value instanceof ArrayBuffer) return new Uint8Array(value)
  throw unexpected(column)
}

/** A column that only this package writes, so its form is known. */
export function hex(row: Row, column: string): `0x${string}` {
  const value = text(row, column)
  if (!value.startsWith('0x')) throw unexpected(column)
  return value as `0x${string}`
}

function unexpected(column: string): StoreError {
  return new StoreError(`reading ${column}`)
}

/** Ours are words with an underscore between; SQLite's begin with SQLITE, Node's with ERR, others are one word or a number. */
function isOwnCode(code: unknown): boolean {
  return typeof code === 'string' && /^(?!SQLITE|ERR_)[A-Z]+_/.test(code)
}
