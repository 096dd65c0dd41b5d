import { startDevnet, type Devnet } from '@opg/devnet'
import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createNodeFiles, type NodeFiles } from './nodeFiles.js'
import { runToEnd, type CliRun } from './testEdge.js'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const COMMANDS = ['serve', 'status', 'settle', 'claim']

describe('opg-node', () => {
  describe('without a configuration', () => {
    it.each([[['--help']], ...[...COMMANDS, 'release'].map((command) => [[command, '--help']])])(
      '%j: 0, and help on stdout',
      async (args) => {
        const { exitCode, stdout, stderr } = await runToEnd(args, {})
        expect(exitCode).toBe(0)
        expect(stdout).toContain('Usage: opg-node')
        expect(stdout).toContain('Exit codes: 0 done')
        expect(stdout.includes('--json')).toBe(args.length === 2)
        expect(stderr).toBe('')
      },
    )

    it('--version: 0', async () => {
      expect(await runToEnd(['--version'], {})).toMatchObject({ exitCode: 0, stdout: '0.0.0-test\n' })
    })

    it.each([
      [[]],
      [['sell']],
      [['status', '--yes']],
      [['status', 'extra']],
      [['settle', '--wait-seconds', '0']],
      [['settle', '--wait-seconds', '1.5']],
      [['settle', '--close']],
      [['serve', '--private-key', '0x12']],
      [['release']],
      [['release', '0x12', '0x13']],
    ])('%j: 2, and nothing on stdout', async (args) => {
      const { exitCode, stdout, stderr } = await runToEnd(args, {})
      expect(exitCode).toBe(2)
      expect(stdout).toBe('')
      expect(stderr).not.toBe('')
    })

    it.each(COMMANDS)('%s: 2, naming the variable that is missing', async (command) => {
      expect(await runToEnd([command], {})).toMatchObject({
        exitCode: 2,
        stdout: '',
        stderr: expect.stringContaining('OPG_NODE_RPC_URL') as string,
      })
      const { stderr } = await runToEnd([command, '--json'], { OPG_NODE_RPC_URL: 'x' })
      expect(JSON.parse(stderr)).toMatchObject({
        error: { code: 'CONFIG_INVALID', message: expect.stringContaining('OPG_NODE_RPC_URL') as string },
      })
    })
  })

  describe('with a chain', () => {
    let devnet: Devnet
    let files: NodeFiles
    const said: string[] = []

    beforeAll(async () => {
      devnet = await startDevnet()
      files = await createNodeFiles(devnet, { node: devnet.wallets[1], upstreamUrl: 'http://127.0.0.1:1/v1' })
    })
    afterAll(async () => {
      await devnet.stop()
      await files.remove()
      // N8: nothing that was said shows a key.
      for (const secret of files.secrets) expect(said.join('\n')).not.toContain(secret)
    })
    const run = async (args: readonly string[], change: Readonly<Record<string, string>> = {}): Promise<CliRun> => {
      const result = await runToEnd(args, { ...files.environment, ...change })
      said.push(result.stdout, result.stderr)
      return result
    }
    const near = async (name: string, content: string): Promise<string> => {
      const path = join(dirname(files.environment['OPG_NODE_CONFIG'] ?? ''), name)
      await writeFile(path, content)
      return path
    }

    it('status and settle of empty books: 0', async () => {
      expect(JSON.parse((await run(['status', '--json'])).stdout)).toMatchObject({
        node: devnet.wallets[1].address,
        chainId: '31337',
        orders: [],
        totals: { unsettled: '0' },
        credits: '0',
        balance: expect.stringMatching(/^[1-9][0-9]+$/) as string,
      })
      expect(await run(['settle', '--dry-run'])).toMatchObject({ exitCode: 0, stdout: 'Nothing to settle.\n' })
      expect((await run(['status'])).exitCode).toBe(0)
    })

    it.each(['serve', 'status', 'settle', 'claim'])('%s, and the RPC is not there: 3', async (command) => {
      const { exitCode, stderr } = await run([command, '--json'], { OPG_NODE_RPC_URL: 'http://127.0.0.1:1' })
      expect(exitCode).toBe(3)
      expect(stderr).toContain('"code":"CHAIN_UNAVAILABLE"')
    })

    it('the RPC answers, but not as a chain does: 3', async () => {
      const server = createServer((_, response) => response.end('<html>busy</html>'))
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
      const rpc = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/?key=rpc-secret`
      const { exitCode, stderr } = await run(['status'], { OPG_NODE_RPC_URL: rpc })
      server.close()
      expect(exitCode).toBe(3)
      expect(stderr).not.toContain('rpc-secret')
    })

    it('wrong chain: 4', async () => {
      const { exitCode, stderr } = await run(['status'], { OPG_NODE_CHAIN_ID: '10740' })
      expect(exitCode).toBe(4)
      expect(stderr).toContain('must be 10740, but it is 31337')
    })

    it('a manifest of another chain, or none at all: 2, naming the variable', async () => {
      const other = await near('other.json', JSON.stringify({ ...devnet.deployment, chainId: 1 }))
      for (const path of [other, await near('broken.json', '{'), '/no/such/manifest']) {
        const { exitCode, stderr } = await run(['status'], { OPG_NODE_DEPLOYMENT_FILE: path })
        expect(exitCode).toBe(2)
        expect(stderr).toContain('OPG_NODE_DEPLOYMENT_FILE')
      }
    })

    it('a manifest whose verifier is another contract: 4', async () => {
      const wrong = { ...devnet.deployment, keyReceiptVerifier: devnet.deployment.token }
      const path = await near('wrong.json', JSON.stringify(wrong))
      expect((await run(['status'], { OPG_NODE_DEPLOYMENT_FILE: path })).exitCode).toBe(4)
    })

    it('no manifest for this chain: 2, naming the setting and the chain', async () => {
      const { exitCode, stderr } = await run(['status'], {
        OPG_NODE_CONFIG: await near('bare.json', '{}'),
        OPG_NODE_RPC_URL: devnet.rpcUrl,
        OPG_NODE_DB: ':memory:',
      })
      expect(exitCode).toBe(2)
      expect(stderr).toContain('OPG_NODE_DEPLOYMENT_FILE must be set')
      expect(stderr).toContain('deployments/31337.json')
    })

    it("an enclave's key that is none: 2; one that no registry knows: 4", async () => {
      const none = await near('none.pem', 'hello')
      expect(await run(['settle'], { OPG_NODE_TEE_KEY_FILE: none })).toMatchObject({ exitCode: 2 })
      const { generateKeyPairSync } = await import('node:crypto')
      const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
      const unknown = await near('unknown.pem', privateKey.export({ type: 'pkcs8', format: 'pem' }).toString())
      expect(await run(['settle'], { OPG_NODE_TEE_KEY_FILE: unknown })).toMatchObject({ exitCode: 4 })
      // What signs nothing needs no enclave.
      expect(await run(['status'], { OPG_NODE_TEE_KEY_FILE: unknown })).toMatchObject({ exitCode: 0 })
    })

    it("books of another node's key: 4", async () => {
      await run(['status'])
      const other = { OPG_NODE_PRIVATE_KEY_FILE: await near('other.key', devnet.wallets[3].privateKey) }
      expect((await run(['status'], other)).exitCode).toBe(4)
    })

    it('a model that cannot be loaded: 2, naming it', async () => {
      const broken = await near('broken.onnx', 'not a model')
      for (const file of [broken, '/no/such/model.onnx']) {
        const models = JSON.stringify([{ kind: 'onnx', name: 'odd', file, prices: { perRequest: '1' } }])
        const { exitCode, stderr } = await run(['serve'], { OPG_NODE_MODELS: models })
        expect(exitCode).toBe(2)
        expect(stderr).toContain('Model odd')
      }
    })

    it.each([
      ['OPG_NODE_CLAIM_WINDOW_SECONDS', { OPG_NODE_CLAIM_WINDOW_SECONDS: '1199' }],
      ['OPG_NODE_OFFER_VERIFIER', { OPG_NODE_OFFER_VERIFIER: 'quorum' }],
      ['OPG_NODE_OFFER_FACILITATOR', { OPG_NODE_OFFER_FACILITATOR: '0x12' }],
      ['OPG_NODE_FACILITATOR_URL', { OPG_NODE_FACILITATOR_URL: 'ftp://facilitator.example' }],
    ])('an offer that nobody could take: 2, naming %s', async (variable, change) => {
      const facilitator = { OPG_NODE_FACILITATOR_URL: 'http://127.0.0.1:1' }
      const { exitCode, stderr } = await run(['serve'], { ...facilitator, ...change })
      expect(exitCode).toBe(2)
      expect(stderr).toContain(variable)
    })

    it('an upto adapter that is none, or of another escrow: 4', async () => {
      const wrong = { ...devnet.deployment, uptoAdapter: devnet.deployment.token }
      const change = { OPG_NODE_DEPLOYMENT_FILE: await near('wrong-adapter.json', JSON.stringify(wrong)) }
      const { exitCode, stderr } = await run(['serve'], { ...change, OPG_NODE_FACILITATOR_URL: 'http://127.0.0.1:1' })
      expect(exitCode).toBe(4)
      expect(stderr).toContain('UptoAdapter')
    })

    it('a model named twice, or whose key variable is not set: 2, naming the variable', async () => {
      const onnx = { kind: 'onnx', name: 'odd', file: 'x', prices: { perRequest: '1' } }
      const chat = {
        kind: 'openai',
        name: 'chat',
        baseUrl: 'http://127.0.0.1:1/v1',
        apiKeyEnv: 'NO_SUCH',
        prices: { perRequest: '1' },
      }
      const twice = await run(['serve'], { OPG_NODE_MODELS: JSON.stringify([onnx, onnx]) })
      expect(twice).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('OPG_NODE_MODELS') as string })
      const keyless = await run(['serve'], { OPG_NODE_MODELS: JSON.stringify([chat]) })
      expect(keyless).toMatchObject({ exitCode: 2, stderr: expect.stringContaining('NO_SUCH') as string })
    })

    it('a port that is taken: 2, naming the variable', async () => {
      const { exitCode, stderr } = await run(['serve'], { OPG_NODE_PORT: new URL(devnet.rpcUrl).port })
      expect(exitCode).toBe(2)
      expect(stderr).toContain('OPG_NODE_PORT')
    })

    it('logs for people, where that is asked for', async () => {
      const child = startProcess(['serve'], { ...files.environment, OPG_NODE_LOG_FORMAT: 'pretty' })
      await child.saw(/listens on (http:\S+)/)
      child.end('SIGINT')
      expect(await child.exit).toBe(0)
      expect(child.stderr()).toMatch(/^\d\d:\d\d:\d\d info {2}asked to stop\n/m)
    })

    it('warns once where the gas money is too little to settle, and serves', async () => {
      const { address } = devnet.wallets[1]
      const balance = await devnet.provider.getBalance(address)
      await devnet.provider.send('anvil_setBalance', [address, '0x7'])
      try {
        expect((await run(['status'])).stdout).toContain('Gas money: 7 wei')
        const child = startProcess(['serve', '--json'], files.environment)
        await child.saw(/"url":"([^"]+)"/)
        child.end('SIGTERM')
        expect(await child.exit).toBe(0)
        const lines = child
          .stderr()
          .split('\n')
          .filter((line) => line.includes('gas money'))
        expect(lines).toHaveLength(1)
        expect(JSON.parse(lines[0] ?? '')).toMatchObject({ level: 'warn', account: address, balanceWei: '7' })
      } finally {
        await devnet.provider.send('anvil_setBalance', [address, `0x${balance.toString(16)}`])
      }
    })

    it('as a process: serves, and ends with 0 on SIGTERM', async () => {
      const child = startProcess(['serve', '--json'], files.environment)
      const [, url = ''] = await child.saw(/"url":"([^"]+)"/)
      expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: 'ok' })
      child.end('SIGTERM')
      expect(await child.exit).toBe(0)
      expect(child.stdout().trim().split('\n').at(-1)).toBe('{"status":"stopped"}')
      for (const line of child.stderr().trim().split('\n')) expect(JSON.parse(line)).toHaveProperty('level')
      said.push(child.stdout(), child.stderr())
    })

    it('help names every variable that is read', async () => {
      const { stdout } = await run(['--help'])
      const sources = await Promise.all(
        ['settings.ts', 'keys.ts', 'loadConfig.ts'].map((name) => readFile(join(ROOT, 'src/config', name), 'utf8')),
      )
      const names = new Set(sources.join('\n').match(/OPG_NODE_[A-Z0-9_]+/g))
      expect(names.size).toBeGreaterThan(25)
      for (const name of names) expect(stdout).toContain(name)
    })
  })
})

function startProcess(args: readonly string[], environment: Readonly<Record<string, string>>) {
  const tsx = import.meta.resolve('tsx')
  const child = spawn(process.execPath, ['--import', tsx, join(ROOT, 'src/cli.ts'), ...args], {
    env: { PATH: process.env['PATH'] ?? '', ...environment },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()))
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()))
  const exit = new Promise<number | null>((resolve) => child.on('close', resolve))
  return {
    exit,
    stdout: () => stdout,
    stderr: () => stderr,
    end: (signal: 'SIGTERM' | 'SIGINT') => child.kill(signal),
    saw: async (pattern: RegExp): Promise<RegExpExecArray> => {
      for (;;) {
        const match = pattern.exec(stdout)
        if (match !== null) return match
        if (child.exitCode !== null) throw new TypeError(`the process ended: ${stderr}`)
        await new Promise((resolve) => setTimeout(resolve, 20))
      }
    },
  }
}
