import { Database, StoreError, text } from '@opg/operator'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

describe('Database.share', () => {
  let folder: string
  let path: string
  let database: Database

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'opg-share-'))
    path = join(folder, 'db')
    database = new Database(path)
    database.script('CREATE TABLE lines (line TEXT PRIMARY KEY) STRICT')
  })
  afterEach(async () => {
    database.close()
    await rm(folder, { recursive: true })
  })

  const add = (line: string): void => {
    database.run('INSERT INTO lines (line) VALUES (?)', [line])
  }
  /** What another connection sees. */
  const seen = (): readonly string[] => {
    const other = new Database(path)
    const lines = other.all('SELECT line FROM lines ORDER BY rowid').map((row) => text(row, 'line'))
    other.close()
    return lines
  }

  it('does all of a turn in one transaction, and resolves once it is on the disk', async () => {
    const states: (readonly string[])[] = []
    const shared = ['a', 'b', 'c'].map((line) =>
      database.share('adding', () => {
        states.push(seen())
        add(line)
      }),
    )
    expect(seen()).toEqual([])
    await shared[0]
    expect(seen()).toEqual(['a', 'b', 'c'])
    expect(states).toEqual([[], [], []])
    await Promise.all(shared)
  })

  it('what fails fails alone, and leaves nothing', async () => {
    const failure = new RangeError('refused')
    const shared = [
      database.share('adding', () => {
        add('a')
      }),
      database.share('adding', () => {
        add('lost')
        throw failure
      }),
      database.share('adding', () => {
        add('a')
      }),
      database.share('adding', () => {
        add('b')
      }),
    ]
    const outcomes = await Promise.allSettled(shared)
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled'])
    expect(outcomes[2]).toMatchObject({ reason: { code: 'STORE_FAILED' } })
    expect(seen()).toEqual(['a', 'b'])
  })

  it('does what must be first once in a transaction', async () => {
    let firsts = 0
    const first = (): void => {
      firsts += 1
    }
    await Promise.all(
      ['a', 'b'].map((line) =>
        database.share(
          'adding',
          () => {
            add(line)
          },
          { first },
        ),
      ),
    )
    expect(firsts).toBe(1)
    await database.share(
      'adding',
      () => {
        add('c')
      },
      { first },
    )
    expect(firsts).toBe(2)
  })

  it('keeps the order of what was asked for: a write after it sees it', async () => {
    const shared = database.share('adding', () => {
      add('a')
    })
    const count = await database.write('counting', () => database.all('SELECT line FROM lines').length)
    expect(count).toBe(1)
    await shared
  })

  it('is done before the database closes; after it, it is refused', async () => {
    const shared = database.share('adding', () => {
      add('a')
    })
    database.close()
    await shared
    expect(seen()).toEqual(['a'])
    await expect(
      database.share('adding', () => {
        add('b')
      }),
    ).rejects.toBeInstanceOf(StoreError)
  })
})
