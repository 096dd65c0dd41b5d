import { randomBytes } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { StoreError } from '../../src/errors.js'
import { openSqliteStore } from '../../src/store/sqliteStore.js'
import { IDENTITY } from '../support/books.js'
import { createTestClock } from '../support/clock.js'
import { describeNodeStore } from './describeNodeStore.js'
import { describeOutboxStore } from './describeOutboxStore.js'
import { LEASE_MS, type StoreFactory } from './storeFixture.js'

async function createSqlite(): Promise<StoreFactory> {
  const directory = await mkdtemp(join(tmpdir(), 'opg-node-'))
  return {
    open: ({ clock, identity }) =>
      openSqliteStore({ path: join(directory, 'node.db'), identity, clock, random: randomBytes, leaseMs: LEASE_MS }),
    remove: () => rm(directory, { recursive: true }),
  }
}

describeNodeStore('the SQLite store', createSqlite)
describeOutboxStore('the outbox of the SQLite store', createSqlite)

describe('openSqliteStore', () => {
  it('names what failed where the file is no database', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'opg-node-'))
    const path = join(directory, 'node.db')
    await writeFile(path, 'this is no database, and longer than a header of one hundred bytes '.repeat(20))
    const opening = openSqliteStore({ path, identity: IDENTITY, clock: createTestClock(), random: randomBytes })
    await expect(opening).rejects.toBeInstanceOf(StoreError)
    await rm(directory, { recursive: true })
  })
})
