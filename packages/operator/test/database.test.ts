import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  amount,
  bytes,
  Database,
  hex,
  IN_MEMORY,
  integer,
  LaneLostError,
  optionalInteger,
  optionalText,
  StoreError,
  text,
} from '../src/index.js'

let folder: string
let path: string
let database: Database

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'opg-db-'))
  path = join(folder, 'books.sqlite')
  database = new Database(path)
  database.script('CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT UNIQUE NOT NULL)')
})
afterEach(async () => {
  database.close()
  await rm(folder, { recursive: true })
})

function add(note: string, at = database): void {
  at.run('INSERT INTO notes (note) VALUES (?)', [note])
}

function notes(at = database): readonly string[] {
  return at.all('SELECT note FROM notes ORDER BY id').map((row) => text(row, 'note'))
}

describe('the file', () => {
  it('is for its owner alone, and so are those beside it', async () => {
    add('one')
    for (const suffix of ['', '-wal', '-shm']) expect((await stat(`${path}${suffix}`)).mode & 0o777).toBe(0o600)
  })

  it('is there for the next connection', () => {
    add('one')
    database.close()
    database = new Database(path)
    expect(notes()).toEqual(['one'])
  })

  it('that is no database is an error of its own', async () => {
    const other = join(folder, 'other')
    await writeFile(
      other,
      'this is no database, and it is longer than a header of one, which has a hundred bytes.'.repeat(9),
    )
    expect(() => new Database(other)).toThrow(StoreError)
    expect(() => new Database(join(folder, 'none', 'books'))).toThrow(StoreError)
  })

  it('in memory ends with its connection, and two have nothing to do with each other', () => {
    const [one, two] = [new Database(IN_MEMORY), new Database(IN_MEMORY)]
    one.script('CREATE TABLE mine (id INTEGER)')
    expect(() => two.all('SELECT * FROM mine')).toThrow()
    one.close()
    two.close()
  })
})

describe('write', () => {
  it('changes nothing where the work throws, and lets named errors through', async () => {
    const failing = database.write('noting', () => {
      add('one')
      throw new LaneLostError()
    })
    await expect(failing).rejects.toBeInstanceOf(LaneLostError)
    expect(notes()).toEqual([])
  })

  it('names what the database itself throws', async () => {
    add('one')
    const failing = database.write('noting', () => {
      add('one')
    })
    await expect(failing).rejects.toMatchObject({ code: 'STORE_FAILED', operation: 'noting' })
  })

  it('is not held up by one who read the first row of many, and that one reads what is new', async () => {
    for (const note of ['one', 'two', 'three']) add(note)
    const other = new Database(path)
    expect(other.get('SELECT note FROM notes ORDER BY id')).toMatchObject({ note: 'one' })
    await database.write('noting', () => database.run('DELETE FROM notes WHERE id = 1'))
    expect(database.get('PRAGMA wal_checkpoint(TRUNCATE)')).toMatchObject({ busy: 0 })
    expect(other.get('SELECT note FROM notes ORDER BY id')).toMatchObject({ note: 'two' })
    expect(other.get('SELECT note FROM notes WHERE id = 1')).toBeUndefined()
    other.close()
  })

  it('is seen by another connection only as a whole', async () => {
    const other = new Database(path)
    await database.write('noting', () => {
      add('one')
      expect(notes(other)).toEqual([])
      add('two')
    })
    expect(notes(other)).toEqual(['one', 'two'])
    other.close()
  })
})

describe('share', () => {
  it('gives each its own result, and runs what must come first once for all of them', async () => {
    let times = 0
    const first = (): void => {
      times += 1
    }
    const shared = ['one', 'two', 'three'].map((note) =>
      database.share(
        'noting',
        () => {
          add(note)
          return note.length
        },
        { first },
      ),
    )
    expect(notes()).toEqual([])
    expect(await Promise.all(shared)).toEqual([3, 3, 5])
    expect(times).toBe(1)
    expect(notes()).toEqual(['one', 'two', 'three'])
  })

  it('lets one fail without the others, and tells each what became of it', async () => {
    const outcomes = await Promise.allSettled(
      ['one', 'one', 'two'].map((note) =>
        database.share('noting', () => {
          add(note)
        }),
      ),
    )
    expect(outcomes.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(notes()).toEqual(['one', 'two'])
  })

  it('says that it is done only once it is on the disk', async () => {
    const other = new Database(path)
    const seen: (readonly string[])[] = []
    await Promise.all(
      ['one', 'two'].map(async (note) => {
        await database.share('noting', () => {
          add(note)
        })
        seen.push(notes(other))
      }),
    )
    expect(seen).toEqual([
      ['one', 'two'],
      ['one', 'two'],
    ])
    other.close()
  })

  it('comes before a write that was asked for after it', async () => {
    const shared = database.share('noting', () => {
      add('one')
    })
    await database.write('noting', () => {
      add('two')
    })
    await shared
    expect(notes()).toEqual(['one', 'two'])
  })

  it('is done when the database is closed in the same turn', async () => {
    const shared = database.share('noting', () => {
      add('one')
    })
    database.close()
    await shared
    database = new Database(path)
    expect(notes()).toEqual(['one'])
  })
})

describe('writeAsync', () => {
  it('does one after the other, though each awaits', async () => {
    const other = new Database(path)
    const write = (at: Database, name: string): Promise<void> =>
      at.writeAsync('noting', async () => {
        add(`${name} begins`, at)
        await setImmediate()
        await setImmediate()
        add(`${name} ends`, at)
      })
    // Two connections of one file: the second would stop all while it waited for the first.
    await Promise.all([write(database, 'a'), write(other, 'b'), write(database, 'c')])
    expect(notes()).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends'])
    other.close()
  })

  it('takes back what failed, and the next goes on', async () => {
    const failing = database.writeAsync('noting', async () => {
      add('one')
      await setImmediate()
      throw new LaneLostError()
    })
    const next = database.writeAsync('noting', () => {
      add('two')
      return Promise.resolve('done')
    })
    await expect(failing).rejects.toBeInstanceOf(LaneLostError)
    expect(await next).toBe('done')
    expect(notes()).toEqual(['two'])
  })
})

describe('a database that was closed', () => {
  it('is an error of its own, and no end of the process', async () => {
    database.close()
    database.close()
    const work = (): void => undefined
    for (const asked of [
      database.write('noting', work),
      database.read('reading', work),
      database.look('looking', work),
      database.share('sharing', work),
      database.writeAsync('noting', () => Promise.resolve()),
    ]) {
      await expect(asked).rejects.toBeInstanceOf(StoreError)
    }
  })
})

describe('columns', () => {
  const row = {
    text: 'x',
    whole: 7,
    big: 2 ** 53,
    half: 0.5,
    none: null,
    fee: '79228162514264337593543950335',
    hash: '0xab',
  }

  it('are read as what they are', () => {
    expect([text(row, 'text'), integer(row, 'whole'), amount(row, 'fee'), hex(row, 'hash')]).toEqual([
      'x',
      7,
      2n ** 96n - 1n,
      '0xab',
    ])
    expect([optionalText(row, 'none'), optionalInteger(row, 'none')]).toEqual([undefined, undefined])
  })

  it('are refused as anything else, by their name', () => {
    for (const [read, column] of [
      [text, 'whole'],
      [text, 'missing'],
      [integer, 'big'],
      [integer, 'half'],
      [integer, 'text'],
      [hex, 'text'],
      [bytes, 'text'],
    ] as const) {
      expect(() => read(row, column)).toThrow(`reading ${column}`)
    }
  })

  it('of bytes are read the same from one row and from many', () => {
    database.script("CREATE TABLE blobs (id INTEGER, blob BLOB); INSERT INTO blobs VALUES (1, x'0102'), (2, x'03')")
    const one = database.get('SELECT blob FROM blobs WHERE id = 1') ?? {}
    expect(bytes(one, 'blob')).toEqual(new Uint8Array([1, 2]))
    expect(database.all('SELECT blob FROM blobs ORDER BY id').map((each) => [...bytes(each, 'blob')])).toEqual([
      [1, 2],
      [3],
    ])
  })
})
