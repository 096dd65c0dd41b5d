import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ConfigError, readPrivateKey } from '../../src/index.js'

const KEY = `0x${'a1'.repeat(32)}`
const NAMES = { direct: 'APP_KEY', file: 'APP_KEY_FILE' }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'opg-key-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

async function keyFile(contents: string, mode = 0o600): Promise<string> {
  const path = join(folder, 'key')
  await rm(path, { force: true })
  await writeFile(path, contents)
  await chmod(path, mode)
  return path
}

describe('readPrivateKey', () => {
  it('reads a variable, or a file with a line end', async () => {
    expect((await readPrivateKey({ APP_KEY: KEY }, NAMES)).reveal()).toBe(KEY)
    expect((await readPrivateKey({ APP_KEY_FILE: await keyFile(`${KEY}\n`) }, NAMES)).reveal()).toBe(KEY)
  })

  it('reads a file that only its owner may read, and one that is mounted for reading alone', async () => {
    for (const mode of [0o600, 0o400, 0o444]) {
      expect((await readPrivateKey({ APP_KEY_FILE: await keyFile(KEY, mode) }, NAMES)).reveal()).toBe(KEY)
    }
  })

  it('takes an empty variable as none', async () => {
    const environment = { APP_KEY: '', APP_KEY_FILE: await keyFile(KEY) }
    expect((await readPrivateKey(environment, NAMES)).reveal()).toBe(KEY)
  })

  it('shows a key nowhere, also not where it was read', async () => {
    expect(inspect(await readPrivateKey({ APP_KEY: KEY }, NAMES), { showHidden: true })).not.toContain('a1a1')
  })

  it.each<[string, () => Promise<Readonly<Record<string, string>>>, string]>([
    ['is nowhere given', () => Promise.resolve({}), 'APP_KEY'],
    ['is given twice', async () => ({ APP_KEY: KEY, APP_KEY_FILE: await keyFile(KEY) }), 'APP_KEY'],
    ['is too short', () => Promise.resolve({ APP_KEY: KEY.slice(0, -1) }), 'APP_KEY'],
    ['has no prefix', () => Promise.resolve({ APP_KEY: KEY.slice(2) }), 'APP_KEY'],
    ['is no hexadecimal', () => Promise.resolve({ APP_KEY: `${KEY.slice(0, -1)}g` }), 'APP_KEY'],
    ['stands twice in its file', async () => ({ APP_KEY_FILE: await keyFile(`${KEY}\n${KEY}`) }), 'APP_KEY_FILE'],
    ['is an empty file', async () => ({ APP_KEY_FILE: await keyFile('') }), 'APP_KEY_FILE'],
    ['is given where its path belongs', () => Promise.resolve({ APP_KEY_FILE: KEY }), 'APP_KEY_FILE'],
    ['is a folder', () => Promise.resolve({ APP_KEY_FILE: folder }), 'APP_KEY_FILE'],
  ])('refuses a key that %s, and shows nothing of what was given', async (_, environmentOf, setting) => {
    const error: unknown = await readPrivateKey(await environmentOf(), NAMES).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(ConfigError)
    expect(error).toMatchObject({ setting })
    expect(inspect(error, { depth: null, showHidden: true })).not.toMatch(/a1a1/)
  })
})
