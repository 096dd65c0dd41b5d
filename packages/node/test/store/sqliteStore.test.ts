import { StoreError } from '@opg/operator'
import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openSqliteStore } from '../../src/store/sqliteStore.js'
import { IDENTITY } from '../support/books.js'
import { createTestClock } from '../support/clock.js'
import { describeNodeStore } from './describeNodeStore.js'
import { describeOutboxStore } from './describeOutboxStore.js'
import { describePayments } from './describePayments.js'
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
describePayments('the SQLite store', createSqlite)

describe('openSqliteStore', () => {
  it('names what failed where the file is no database', async () => {
    const directory = await mkdtemp(join(tmpdir(), 'opg-node-'))
    const path = join(directory, 'node.db')
    await writeFile(path, 'this is no database, and longer than a header of one hundred bytes '.repeat(20))
    const opening = openSqliteStore({ path, identity: IDENTITY, clock: createTestClock(), random: randomBytes })
    await expect(opening).rejects.toBeInstanceOf(StoreError)
    await rm(directory, { recursive: true })
  })

  it("makes files that only their owner reads, since clients' answers are in them", async () => {
    const directory = await mkdtemp(join(tmpdir(), 'opg-node-'))
    const path = join(directory, 'node.db')
    const store = await openSqliteStore({ path, identity: IDENTITY, clock: createTestClock(), random: randomBytes })
    for (const name of await readdir(directory)) {
      expect(((await stat(join(directory, name))).mode & 0o777).toString(8), name).toBe('600')
    }
    await store.close()
    await rm(directory, { recursive: true })
  })
})
