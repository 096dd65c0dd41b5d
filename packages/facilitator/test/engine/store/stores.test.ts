import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { COST, UNPAID } from '../../../src/engine/store/quotas.js'
import { openSqlite } from '../../../src/engine/store/sqlite.js'
import { type TestPostgres, openBooks, startPostgres } from '../support/postgres.js'
import { Books, type BooksFactory, PAYER } from './books.js'
import { describeEngineStore } from './describeEngineStore.js'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

async function createSqlite(): Promise<BooksFactory> {
  const directory = await mkdtemp(join(tmpdir(), 'opg-books-'))
  return {
    open: () => openSqlite(join(directory, 'books.db')),
    remove: () => rm(directory, { recursive: true }),
  }
}

describeEngineStore('the books in SQLite', createSqlite)

describeEngineStore('the books in PostgreSQL', async () => {
  const url = await postgres.freshDatabase()
  return { open: () => openBooks(url), remove: () => Promise.resolve() }
})

it.each(['payer', 'node'])('quotas of a %s are counted by an index, however many orders there are', async (whose) => {
  const books = new Books(await createSqlite())
  await books.open()
  const database = books.factory.open()
  const plan = (where: string): Promise<string> =>
    database.read('test', async (sql) => {
      const query = `EXPLAIN QUERY PLAN SELECT COUNT(*) FROM orders WHERE ${whose} = ? AND queued_at_ms > ? AND ${where}`
      return JSON.stringify(await sql.all(query, [PAYER, 0]))
    })
  expect(await plan(COST)).toContain(`USING COVERING INDEX costly_orders_of_${whose}`)
  expect(await plan(UNPAID)).toContain(`USING COVERING INDEX unpaid_orders_of_${whose}`)
  await database.close()
  await books.remove()
})
