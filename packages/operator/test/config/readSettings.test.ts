import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ConfigError, fields, readSettings, settingsHelp } from '../../src/index.js'

const SECRET = 'hunter2-hunter2'
const TABLE = {
  port: { variable: 'APP_PORT', schema: fields.wholeNumber(0, 65_535).default(8_402), help: 'Port. Default: 8402' },
  url: { variable: 'APP_URL', schema: fields.httpUrl('an http or https URL'), help: 'Where it is.' },
  books: { variable: 'APP_BOOKS', schema: fields.text('a path').optional(), help: 'Its books.', isPath: true },
  price: { variable: 'APP_PRICE', schema: fields.opg({ zero: false }).optional(), help: 'Its price.' },
  models: {
    variable: 'APP_MODELS',
    schema: z.array(z.strictObject({ name: fields.text('a name') }, 'an object')).default([]),
    help: 'What it sells.',
    isJson: true,
  },
}
const URL_SET = { APP_URL: 'https://x.example' }

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'opg-settings-'))
})
afterAll(async () => {
  await rm(folder, { recursive: true })
})

function read(environment: Readonly<Record<string, string>>) {
  return readSettings(TABLE, { environment, configVariable: 'APP_CONFIG' })
}

async function configFile(contents: string): Promise<{ readonly APP_CONFIG: string }> {
  const path = join(folder, 'config.json')
  await writeFile(path, contents)
  return { APP_CONFIG: path }
}

async function refusal(reading: Promise<unknown>): Promise<ConfigError> {
  const error: unknown = await reading.catch((thrown: unknown) => thrown)
  if (!(error instanceof ConfigError)) throw new TypeError('it was not refused')
  return error
}

describe('readSettings', () => {
  it('takes the environment before the file, the file before the default, and an empty variable as none', async () => {
    const file = await configFile('{"port": 1, "url": "http://file.example", "price": "0.5"}')
    expect(await read({ ...file, APP_PORT: '2', APP_URL: '' })).toEqual({
      port: 2,
      url: 'http://file.example',
      books: undefined,
      price: 5n * 10n ** 17n,
      models: [],
    })
    expect((await read(URL_SET)).port).toBe(8_402)
  })

  it('counts paths in the file from its folder, and those of the environment not', async () => {
    const file = await configFile('{"books": "books.sqlite"}')
    expect((await read({ ...file, ...URL_SET })).books).toBe(join(folder, 'books.sqlite'))
    expect((await read({ ...file, ...URL_SET, APP_BOOKS: 'x/books.sqlite' })).books).toBe('x/books.sqlite')
  })

  it('names a setting that is missing', async () => {
    const error = await refusal(read({}))
    expect(error).toMatchObject({ setting: 'APP_URL', message: 'APP_URL must be set, to an http or https URL.' })
  })

  it.each<[string, Readonly<Record<string, string>>, string]>([
    ['a number out of range', { APP_PORT: '65536' }, 'APP_PORT'],
    ['a number with a sign', { APP_PORT: '+1' }, 'APP_PORT'],
    ['a number with a leading zero', { APP_PORT: '01' }, 'APP_PORT'],
    ['a URL of another kind', { APP_URL: 'ftp://x.example' }, 'APP_URL'],
    ['an amount below one base unit', { APP_PRICE: '0.0000000000000000001' }, 'APP_PRICE'],
    ['an amount of nothing', { APP_PRICE: '0' }, 'APP_PRICE'],
    ['broken JSON', { APP_MODELS: '[' }, 'APP_MODELS'],
    ['a member of a list', { APP_MODELS: '[{"name": "a"}, {"name": 1}]' }, 'APP_MODELS[1].name'],
  ])('names the setting that is wrong: %s', async (_, environment, setting) => {
    expect(await refusal(read({ ...URL_SET, ...environment }))).toMatchObject({ setting })
  })

  it.each<[string, string]>([
    ['abc', '"abc"'],
    ['65536', '"65536"'],
    ['-1', '"-1"'],
    ['0x10', '"0x10"'],
    ['8402/tcp:1', 'a text of 10 characters'],
  ])('says what a number must be, and what was found: %s', async (found, shown) => {
    const { message } = await refusal(read({ ...URL_SET, APP_PORT: found }))
    expect(message).toBe(`APP_PORT must be a whole number from 0 to 65535, and not ${shown}.`)
  })

  it('says it of numbers in the file too, and of what is no number there', async () => {
    const of = async (port: string): Promise<string> =>
      (await refusal(read({ ...URL_SET, ...(await configFile(`{"port": ${port}}`)) }))).message
    expect(await of('1.5')).toBe('APP_CONFIG: port must be a whole number from 0 to 65535, and not 1.5.')
    expect(await of('true')).toBe('APP_CONFIG: port must be a whole number from 0 to 65535.')
  })

  it('refuses a key of the file that it does not know, and says which it knows', async () => {
    const error = await refusal(read(await configFile('{"prot": 1}')))
    expect(error.setting).toBe('APP_CONFIG: prot')
    expect(error.message).toContain('port, url, books, price, models')
  })

  it('refuses an unknown member inside of a value', async () => {
    const error = await refusal(read({ ...URL_SET, APP_MODELS: '[{"name": "a", "nmae": "b"}]' }))
    expect(error.message).toContain('without the unknown nmae')
  })

  it.each(['[]', 'null', '7', '{', ''])('refuses a file that is no JSON object: %s', async (contents) => {
    expect((await refusal(read(await configFile(contents)))).setting).toMatch(/^APP_CONFIG/)
  })

  it('refuses a file that is not there, and a folder', async () => {
    expect((await refusal(read({ APP_CONFIG: join(folder, 'none.json') }))).setting).toBe('APP_CONFIG')
    expect((await refusal(read({ APP_CONFIG: folder }))).setting).toBe('APP_CONFIG')
  })

  it('does not take what every object has for a setting', async () => {
    const error = await refusal(read(await configFile('{"url": "http://x.example", "constructor": 1}')))
    expect(error.setting).toBe('APP_CONFIG: constructor')
    expect((await read({ ...(await configFile('{}')), ...URL_SET })).port).toBe(8_402)
  })

  it.each<[string, Readonly<Record<string, string>>]>([
    ['a URL', { APP_URL: SECRET }],
    ['a number', { APP_PORT: SECRET }],
    ['an amount', { APP_PRICE: SECRET }],
    ['JSON', { APP_MODELS: SECRET }],
    ['a member', { APP_MODELS: JSON.stringify([{ name: 1, [SECRET.repeat(9)]: 1 }]) }],
  ])('never shows the value that was wrong: %s', async (_, environment) => {
    const { message } = await refusal(read({ ...URL_SET, ...environment }))
    expect(message).not.toContain(SECRET.repeat(4))
    if (!('APP_MODELS' in environment && environment.APP_MODELS.startsWith('['))) expect(message).not.toContain(SECRET)
  })
})

describe('settingsHelp', () => {
  it('names every variable, what it is, and its name in the file', () => {
    const help = settingsHelp({ keys: { APP_KEY: 'The key.' }, configVariable: 'APP_CONFIG', settings: TABLE })
    for (const [name, { variable, help: line }] of Object.entries(TABLE)) {
      expect(help).toMatch(new RegExp(`${variable} .*${line.slice(0, 5)}.*\\[${name}\\]`))
    }
    expect(help).toContain('APP_KEY')
  })
})
