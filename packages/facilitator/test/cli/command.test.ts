import { startDevnet, type Devnet } from '@opg/devnet'
import { HTTPFacilitatorClient } from '@x402/core/http'
import { spawn } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../../src/cli/main.js'
import { sleep } from '../engine/support/world.js'

interface Run {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

describe('opg-facilitator', () => {
  let devnet: Devnet
  let folder: string
  let environment: Record<string, string>
  const key = (): string => devnet.wallets[3].privateKey

  beforeAll(async () => {
    devnet = await startDevnet()
    folder = await mkdtemp(join(tmpdir(), 'opg-facilitator-'))
    await writeFile(join(folder, 'manifest.json'), JSON.stringify(devnet.deployment))
    await writeFile(join(folder, 'facilitator.key'), `${key()}\n`)
    await writeFile(
      join(folder, 'config.json'),
      JSON.stringify({
        deploymentFile: 'manifest.json',
        database: 'books.sqlite',
        port: 0,
        nodes: [devnet.wallets[1].address],
      }),
    )
    environment = {
      OPG_FACILITATOR_CONFIG: join(folder, 'config.json'),
      OPG_FACILITATOR_RPC_URL: devnet.rpcUrl,
      OPG_FACILITATOR_PRIVATE_KEY_FILE: join(folder, 'facilitator.key'),
    }
  })
  afterAll(async () => {
    await devnet.stop()
    await rm(folder, { recursive: true })
  })

  /** Runs a command to its end; `serve` ends where it is asked to as soon as it listens. */
  const run = async (args: readonly string[], changes: Record<string, string> = {}): Promise<Run> => {
    let [stdout, stderr] = ['', '']
    let stop = (): void => undefined
    const exitCode = await runCli(args, {
      version: '0.0.0',
      edge: {
        environment: { ...environment, ...changes },
        stdout: (text) => {
          stdout += text
          if (stdout.includes('listen')) stop()
        },
        stderr: (text) => (stderr += text),
        onStop: (listener) => {
          stop = listener
          return () => undefined
        },
        clock: Date.now,
        random: (length) => crypto.getRandomValues(new Uint8Array(length)),
        sleep,
        fetch,
      },
    })
    return { exitCode, stdout, stderr }
  }

  it('tells its settings, its commands and its exit codes', async () => {
    const { exitCode, stdout } = await run(['--help'])
    expect(exitCode).toBe(0)
    for (const word of [
      'serve',
      'status',
      'OPG_FACILITATOR_RPC_URL',
      'OPG_FACILITATOR_PRIVATE_KEY_FILE',
      'Exit codes',
    ]) {
      expect(stdout).toContain(word)
    }
  })

  it('serves until it is asked to stop, and says where', async () => {
    const { exitCode, stdout } = await run(['serve', '--json'])
    expect(exitCode).toBe(0)
    const [listening, stopped] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(listening).toMatchObject({ status: 'listening', facilitator: devnet.wallets[3].address })
    expect(listening?.['url']).toMatch(/^http:\/\/127\.0\.0\.1:[0-9]+$/)
    expect(stopped).toEqual({ status: 'stopped' })
  })

  it('shows what is under way, as JSON and for people', async () => {
    const { exitCode, stdout } = await run(['status', '--json'])
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ network: 'eip155:31337', queuedOpenings: 0, openOrders: 0 })
    expect((await run(['status'])).stdout).toContain('Open: 0 orders')
  })

  it.each<[string, readonly string[], Record<string, string>, number, string]>([
    ['an unknown command', ['refund'], {}, 2, 'refund'],
    ['no RPC', ['serve'], { OPG_FACILITATOR_RPC_URL: '' }, 2, 'OPG_FACILITATOR_RPC_URL'],
    ['no key', ['serve'], { OPG_FACILITATOR_PRIVATE_KEY_FILE: '' }, 2, 'OPG_FACILITATOR_PRIVATE_KEY'],
    ['a list that is none', ['serve'], { OPG_FACILITATOR_NODES: '{}' }, 2, 'OPG_FACILITATOR_NODES'],
    [
      'an amount of gas that is none',
      ['serve'],
      { OPG_FACILITATOR_MAX_FEE_PER_GAS: '1e9' },
      2,
      'OPG_FACILITATOR_MAX_FEE_PER_GAS',
    ],
    [
      'a chain that does not answer',
      ['status'],
      { OPG_FACILITATOR_RPC_URL: 'http://127.0.0.1:9' },
      3,
      'did not answer',
    ],
    ['a misspelt variable', ['serve'], { OPG_FACILITATOR_PROT: '1' }, 2, 'OPG_FACILITATOR_PORT'],
    [
      'no manifest for this chain',
      ['status'],
      { OPG_FACILITATOR_CONFIG: '' },
      2,
      'OPG_FACILITATOR_DEPLOYMENT_FILE must be set',
    ],
    ['another chain', ['status'], { OPG_FACILITATOR_CHAIN_ID: '1' }, 4, 'chain id'],
  ])('%s: ends with a code, and says what is wrong', async (_, args, changes, exitCode, word) => {
    const result = await run(args, changes)
    expect(result).toMatchObject({ exitCode })
    expect(result.stderr).toContain(word)
  })

  it('warns once where the gas money is less than it needs, and of variables that nothing reads', async () => {
    const poor = { OPG_FACILITATOR_MIN_BALANCE: `1${'0'.repeat(30)}`, OPG_FACILITATOR_SERVICE_HOST: '10.0.0.1' }
    const { exitCode, stderr } = await run(['serve'], poor)
    expect(exitCode).toBe(0)
    const warnings = stderr.split('\n').filter((line) => line.includes('"warn"'))
    expect(warnings.map((line) => JSON.parse(line) as unknown)).toMatchObject([
      { variable: 'OPG_FACILITATOR_SERVICE_HOST', nearest: 'OPG_FACILITATOR_HOST' },
      { account: devnet.wallets[3].address, neededWei: `1${'0'.repeat(30)}` },
    ])
  })

  it('tells an error as JSON where results are', async () => {
    const { stderr } = await run(['status', '--json'], { OPG_FACILITATOR_RPC_URL: '' })
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'CONFIG_INVALID' } })
  })

  it('never shows its key, also where it stands in the wrong place (N8)', async () => {
    const runs = [
      await run(['serve', '--json']),
      await run(['status']),
      await run(['status'], { OPG_FACILITATOR_PRIVATE_KEY: key() }),
      await run(['status'], { OPG_FACILITATOR_PRIVATE_KEY: key().slice(0, -1), OPG_FACILITATOR_PRIVATE_KEY_FILE: '' }),
      await run(['status'], { OPG_FACILITATOR_PRIVATE_KEY_FILE: key() }),
      await run(['status'], { OPG_FACILITATOR_CONFIG: key() }),
    ]
    for (const { stdout, stderr } of runs) expect(stdout + stderr).not.toContain(key().slice(2, -1))
  })

  it('as a process: answers the stock client, and ends with 0 on SIGTERM', async () => {
    const command = fileURLToPath(new URL('../../bin/opg-facilitator.mjs', import.meta.url))
    const child = spawn(process.execPath, [command, 'serve', '--json'], { env: { ...process.env, ...environment } })
    let logged = ''
    child.stderr.on('data', (chunk: Buffer) => (logged += chunk.toString()))
    const ended = new Promise<number | null>((resolve) => child.on('exit', resolve))
    const lines = createInterface(child.stdout)[Symbol.asyncIterator]()
    const first = await lines.next()
    const { url } = JSON.parse(String(first.value)) as { readonly url: string }
    expect((await new HTTPFacilitatorClient({ url }).getSupported()).kinds).toHaveLength(2)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(logged).not.toContain(key().slice(2))
  })
})
