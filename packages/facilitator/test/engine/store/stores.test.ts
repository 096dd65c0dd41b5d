import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { openSqlite } from '../../../src/engine/store/sqlite.js'
import { type TestPostgres, openBooks, startPostgres } from '../support/postgres.js'
import { describeEngineStore } from './describeEngineStore.js'

let postgres: TestPostgres
beforeAll(async () => {
  postgres = await startPostgres()
})
afterAll(() => postgres.stop())

describeEngineStore('the books in SQLite', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'opg-books-'))
  return {
    open: () => openSqlite(join(directory, 'books.db')),
    remove: () => rm(directory, { recursive: true }),
  }
})

describeEngineStore('the books in PostgreSQL', async () => {
  const url = await postgres.freshDatabase()
  return { open: () => openBooks(url), remove: () => Promise.resolve() }
})
