import { ConfigError, type Environment } from '@opg/operator'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { readApiKey } from './keys.js'
import { loadConfig, type NodeConfig } from './loadConfig.js'

const KEY = `0x${'4b'.repeat(32)}`
const MODELS = [{ kind: 'onnx', name: 'languages', file: 'models/languages.onnx', prices: { perRequest: '0.001' } }]
const BASE: Environment = {
  OPG_NODE_RPC_URL: 'http://127.0.0.1:8545',
  OPG_NODE_PRIVATE_KEY: KEY,
  OPG_NODE_MODELS: JSON.stringify(MODELS),
}

describe('loadConfig', () => {
  let folder: string
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'opg-config-'))
  })
  afterEach(() => rm(folder, { recursive: true }))

  const load = (environment: Environment): Promise<NodeConfig> =>
    loadConfig({ ...BASE, ...environment }, { needsModels: true })
  const file = async (content: unknown): Promise<string> => {
    const path = join(folder, 'node.json')
    await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content))
    return path
  }
  const errorOf = async (environment: Environment): Promise<ConfigError> => {
    try {
      await load(environment)
    } catch (error) {
      if (error instanceof ConfigError) return error
      throw error
    }
    throw new TypeError('the configuration was taken')
  }

  it('takes the environment alone, with defaults for the rest', async () => {
    const { settings, keys } = await load({})
    expect(settings).toMatchObject({
      rpcUrl: 'http://127.0.0.1:8545',
      chainId: undefined,
      host: '127.0.0.1',
      port: 8402,
      minAmount: 1n,
      opgPerWei: { numerator: 1n, denominator: 1n },
      models: [{ name: 'languages', prices: { perRequest: 10n ** 15n, inputPerMillion: 0n, outputPerMillion: 0n } }],
    })
    expect(keys.nodeKey.reveal()).toBe(KEY)
    expect(keys.teeKey).toBeUndefined()
  })

  it('refuses a misspelt variable, warns of others, and takes the name that a model gives its key', async () => {
    expect((await errorOf({ OPG_NODE_PROT: '1' })).message).toContain('the nearest is OPG_NODE_PORT')
    const chat = {
      kind: 'openai',
      name: 'chat',
      baseUrl: 'http://127.0.0.1:1/v1',
      apiKeyEnv: 'OPG_NODE_UPSTREAM_SECRET',
    }
    const OPG_NODE_MODELS = JSON.stringify([{ ...chat, prices: { perRequest: '1' } }])
    const { strangers } = await load({
      OPG_NODE_MODELS,
      OPG_NODE_UPSTREAM_SECRET: 'x',
      OPG_NODE_SERVICE_HOST: '10.0.0.1',
    })
    expect(strangers).toEqual([{ variable: 'OPG_NODE_SERVICE_HOST', nearest: 'OPG_NODE_HOST' }])
  })

  it('takes a file for what the environment does not set; its paths count from its folder', async () => {
    const path = await file({ port: 1, database: 'books.sqlite', models: MODELS, minAmount: '0.5' })
    const { settings } = await load({ OPG_NODE_CONFIG: path, OPG_NODE_PORT: '2', OPG_NODE_MODELS: '' })
    expect(settings).toMatchObject({
      port: 2,
      database: join(folder, 'books.sqlite'),
      minAmount: 5n * 10n ** 17n,
      models: [{ file: join(folder, 'models/languages.onnx') }],
    })
  })

  it('leaves a path of the environment as it is, though the file names another', async () => {
    const path = await file({ database: 'books.sqlite' })
    expect((await load({ OPG_NODE_CONFIG: path, OPG_NODE_DB: 'other.sqlite' })).settings.database).toBe('other.sqlite')
  })

  it('needs models only where they are served', async () => {
    expect((await errorOf({ OPG_NODE_MODELS: undefined })).setting).toBe('OPG_NODE_MODELS')
    const { settings } = await loadConfig({ ...BASE, OPG_NODE_MODELS: undefined }, { needsModels: false })
    expect(settings.models).toEqual([])
  })

  it.each([
    ['OPG_NODE_RPC_URL', undefined],
    ['OPG_NODE_RPC_URL', 'localhost:8545'],
    ['OPG_NODE_RPC_URL', 'ftp://127.0.0.1'],
    ['OPG_NODE_CHAIN_ID', '0'],
    ['OPG_NODE_CHAIN_ID', '0x1'],
    ['OPG_NODE_PORT', '65536'],
    ['OPG_NODE_PORT', '-1'],
    ['OPG_NODE_PORT', '80.5'],
    ['OPG_NODE_PORT', '8e3'],
    ['OPG_NODE_PORT', ' 80'],
    ['OPG_NODE_MIN_AMOUNT', '-1'],
    ['OPG_NODE_MIN_AMOUNT', '1e18'],
    ['OPG_NODE_MIN_AMOUNT', '0.0000000000000000001'],
    ['OPG_NODE_MIN_AMOUNT', '99999999999'],
    ['OPG_NODE_MIN_NET_BPS', '10001'],
    ['OPG_NODE_CONFIRMATIONS', '0'],
    ['OPG_NODE_SETTLE_MAX_TRANSFERS', '1'],
    ['OPG_NODE_OPG_PER_WEI', '1.5'],
    ['OPG_NODE_OPG_PER_WEI', '1/0'],
    ['OPG_NODE_CLAIM_THRESHOLD', '0'],
    ['OPG_NODE_LOG_LEVEL', 'loud'],
    ['OPG_NODE_LOG_FORMAT', 'xml'],
    ['OPG_NODE_MODELS', 'not json'],
    ['OPG_NODE_MODELS', '[]'],
    ['OPG_NODE_MODELS', '{}'],
    ['OPG_NODE_CONFIG', '/no/such/file'],
    ['OPG_NODE_PRIVATE_KEY', undefined],
    ['OPG_NODE_PRIVATE_KEY', KEY.slice(2)],
    ['OPG_NODE_PRIVATE_KEY', KEY.slice(0, -1)],
    ['OPG_NODE_PRIVATE_KEY', `${KEY}00`],
    ['OPG_NODE_TEE_KEY_FILE', '/no/such/key.pem'],
  ])('%s = %j: an error that names it', async (variable, value) => {
    expect((await errorOf({ [variable]: value })).setting).toBe(variable)
  })

  it.each([
    ['a name', { name: 'two words' }, '[0].name'],
    ['a price as a number, which would round', { prices: { perRequest: 0.001 } }, '[0].prices.perRequest'],
    ['a negative price', { prices: { perRequest: '-0.001' } }, '[0].prices.perRequest'],
    ['a price that is missing', { prices: {} }, '[0].prices.perRequest'],
    ['a price of another name', { prices: { perRequest: '1', perToken: '1' } }, '[0].prices'],
    ['a model id', { modelId: '0x12' }, '[0].modelId'],
    ['an unknown member', { apiKey: 'sk-secret' }, '[0]'],
    ['an unknown kind', { kind: 'torch' }, '[0].kind'],
  ])('a model with a wrong member (%s): an error with its path', async (_, change, path) => {
    const models = [{ ...MODELS[0], ...change }]
    const error = await errorOf({ OPG_NODE_MODELS: JSON.stringify(models) })
    expect(error.setting).toBe(`OPG_NODE_MODELS${path}`)
    expect(error.message).not.toContain('sk-secret')
  })

  it('takes the gateways of a model in their one form', async () => {
    const model = { kind: 'openai', name: 'chat', baseUrl: 'http://g/v1', prices: { perRequest: '1' } }
    const loaded = (teeIds: unknown) => load({ OPG_NODE_MODELS: JSON.stringify([{ ...model, gatewayTeeIds: teeIds }]) })
    const { settings } = await loaded([`0x${'AB'.repeat(32)}`])
    expect(settings.models).toMatchObject([{ gatewayTeeIds: [`0x${'ab'.repeat(32)}`] }])
    for (const wrong of [[], ['0x12'], 'all']) {
      await expect(loaded(wrong)).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
    }
  })

  it('takes quorums and lost enclaves as JSON, in their one form', async () => {
    const address = '0x90F79bf6EB2c4f870365E785982E1f101E93b906'
    const { settings } = await load({
      OPG_NODE_QUORUMS: JSON.stringify([{ k: 1, validators: [{ address: address.toLowerCase(), url: 'http://v/' }] }]),
      OPG_NODE_LOST_TEE_IDS: JSON.stringify([`0x${'AB'.repeat(32)}`]),
    })
    expect(settings.quorums).toEqual([{ k: 1, validators: [{ address, url: 'http://v/' }] }])
    expect(settings.lostTeeIds).toEqual([`0x${'ab'.repeat(32)}`])
    expect(await load({})).toMatchObject({ settings: { quorums: [], lostTeeIds: [], settleGasPerSlice: 200_000 } })
  })

  it.each([
    ['OPG_NODE_QUORUMS', '[{"k":0,"validators":[]}]'],
    ['OPG_NODE_QUORUMS', '[{"k":1,"validators":[{"address":"0x12","url":"http://v/"}]}]'],
    ['OPG_NODE_QUORUMS', '[{"k":1,"validators":[{"address":"0x90f79bf6eb2c4f870365e785982e1f101e93b906","url":"v"}]}]'],
    ['OPG_NODE_QUORUMS', '{}'],
    ['OPG_NODE_LOST_TEE_IDS', '["0x12"]'],
    ['OPG_NODE_LOST_TEE_IDS', 'none'],
  ])('%s as %s is refused by its name', async (variable, value) => {
    await expect(load({ [variable]: value })).rejects.toThrow(variable)
  })

  it('an error in the file names the file and the member', async () => {
    expect((await errorOf({ OPG_NODE_CONFIG: await file({ port: 'x' }) })).setting).toBe('OPG_NODE_CONFIG: port')
    expect((await errorOf({ OPG_NODE_CONFIG: await file('{') })).setting).toBe('OPG_NODE_CONFIG')
    expect((await errorOf({ OPG_NODE_CONFIG: await file([]) })).setting).toBe('OPG_NODE_CONFIG')
  })

  it('takes no key from the file', async () => {
    const error = await errorOf({ OPG_NODE_CONFIG: await file({ privateKey: KEY }) })
    expect(error.setting).toBe('OPG_NODE_CONFIG: privateKey')
    expect(error.message).not.toContain(KEY)
  })

  describe('keys', () => {
    it('come from files', async () => {
      const [nodeKey, teeKey] = [join(folder, 'node.key'), join(folder, 'tee.pem')]
      await writeFile(nodeKey, `${KEY}\n`)
      await writeFile(teeKey, 'PEM')
      const { keys } = await load({
        OPG_NODE_PRIVATE_KEY: undefined,
        OPG_NODE_PRIVATE_KEY_FILE: nodeKey,
        OPG_NODE_TEE_KEY_FILE: teeKey,
      })
      expect([keys.nodeKey.reveal(), keys.teeKey?.reveal()]).toEqual([KEY, 'PEM'])
    })

    it('are given once', async () => {
      expect((await errorOf({ OPG_NODE_PRIVATE_KEY_FILE: 'x' })).setting).toBe('OPG_NODE_PRIVATE_KEY')
    })

    it('given in place of a path do not show up in the error (N8)', async () => {
      for (const variable of ['OPG_NODE_PRIVATE_KEY_FILE', 'OPG_NODE_TEE_KEY_FILE']) {
        const error = await errorOf({
          ...(variable === 'OPG_NODE_PRIVATE_KEY_FILE' ? { OPG_NODE_PRIVATE_KEY: undefined } : {}),
          [variable]: KEY,
        })
        expect(error.setting).toBe(variable)
        expect(inspect(error, { depth: 9 })).not.toContain(KEY)
      }
    })

    it('that are almost keys do not show up in the error (N8)', async () => {
      const almost = KEY.slice(0, -1)
      expect(inspect(await errorOf({ OPG_NODE_PRIVATE_KEY: almost }), { depth: 9 })).not.toContain(almost)
    })

    it('do not show themselves in texts, JSON or the console (N8)', async () => {
      const { keys } = await load({})
      for (const shown of [String(keys.nodeKey), JSON.stringify(keys), inspect(keys, { depth: 9, showHidden: true })]) {
        expect(shown).not.toContain(KEY)
      }
    })

    it.each([undefined, '', 'two words', 'sk-\n', 'schlüssel'])(
      'of an upstream as %j: an error that names the variable only',
      (value) => {
        try {
          readApiKey({ UPSTREAM_KEY: value }, 'UPSTREAM_KEY')
          expect.unreachable()
        } catch (error) {
          expect(error).toMatchObject({ setting: 'UPSTREAM_KEY' })
          if (value !== undefined && value !== '') expect(String(error)).not.toContain(value)
        }
      },
    )
  })
})
