import { format, inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ChainUnavailableError, createLogger, errorFields, Secret, StoreError } from '../src/index.js'

const VALUE = `0x${'5e'.repeat(32)}`

describe('a Secret', () => {
  const secret = new Secret(VALUE)

  it('gives its value to who asks for it', () => {
    expect(secret.reveal()).toBe(VALUE)
  })

  it.each<[string, () => string]>([
    ['a template', () => `${secret.toString()} ${String(secret)}`],
    ['concatenation', () => ['', secret].join('')],
    ['JSON', () => JSON.stringify({ secret, list: [secret] })],
    ['inspect', () => inspect({ secret }, { depth: null, showHidden: true, getters: true })],
    ['console.log', () => format('%s %o %O %j', secret, secret, secret, secret)],
    ['its members', () => JSON.stringify([Object.entries(secret), Reflect.ownKeys(secret)])],
    ['an error', () => inspect(new TypeError('wrong', { cause: secret }))],
  ])('does not show it in %s', (_, text) => {
    expect(text()).not.toContain(VALUE.slice(2))
  })
})

describe('errorFields', () => {
  it('has names, codes and places, and nothing of a message', () => {
    const cause = Object.assign(new Error(`of the cause ${VALUE}`), { code: 'ECONNREFUSED' })
    const fields = errorFields(new StoreError(`at ${VALUE}`, { cause }))
    expect(fields).toMatchObject({
      error: 'StoreError',
      code: 'STORE_FAILED',
      cause: 'Error',
      causeCode: 'ECONNREFUSED',
    })
    expect(fields.at).toContain('secrets.test.ts')
    expect(JSON.stringify(fields)).not.toContain(VALUE)
  })

  it.each([VALUE, { VALUE }, undefined, null])('says only the kind of what is no error', (thrown) => {
    expect(errorFields(thrown)).toEqual({ error: typeof thrown })
  })

  it('has nothing of the message of what an RPC gave, whose URL may hold a key', () => {
    const cause = Object.assign(new Error(`POST https://rpc.example/${VALUE}`), { code: 'SERVER_ERROR' })
    const error = new ChainUnavailableError('eth_call', { cause })
    expect(inspect(error, { depth: null })).not.toContain(VALUE)
    expect(JSON.stringify(errorFields(error))).not.toContain(VALUE)
  })
})

describe('a logger', () => {
  function logged(logFormat: 'json' | 'pretty', logLevel: 'info' | 'warn' | 'error' | 'silent' = 'info'): string[] {
    const texts: string[] = []
    const logger = createLogger({ logLevel, logFormat }, (text) => texts.push(text))
    const fields = { kind: 'settle', nonce: 4, isLast: true, none: undefined }
    logger.info(fields, 'sent')
    logger.warn(fields, 'not taken')
    logger.error({ line: 'one\ntwo' }, 'failed')
    return texts
  }

  it('writes a JSON object a line', () => {
    const texts = logged('json')
    for (const text of texts) expect(text.indexOf('\n')).toBe(text.length - 1)
    expect(texts.map((text) => JSON.parse(text) as unknown)).toMatchObject([
      { level: 'info', msg: 'sent', kind: 'settle', nonce: 4, isLast: true },
      { level: 'warn', msg: 'not taken' },
      { level: 'error', msg: 'failed', line: 'one\ntwo' },
    ])
  })

  it('writes lines for people', () => {
    expect(logged('pretty')[0]).toMatch(/^\d\d:\d\d:\d\d info {2}sent kind=settle nonce=4 isLast=true\n$/)
  })

  it('is quiet below its level', () => {
    expect(logged('json', 'warn')).toHaveLength(2)
    expect(logged('json', 'error')).toHaveLength(1)
    expect(logged('json', 'silent')).toEqual([])
  })
})
