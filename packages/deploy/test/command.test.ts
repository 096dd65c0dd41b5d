import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runDeploy } from '../src/runDeploy.js'
import { startChain, type TestChain } from './support/chain.js'
import { folders } from './support/folders.js'

const KEY = `0x${'ab'.repeat(32)}`

describe('the deploy command', () => {
  let chain: TestChain

  beforeAll(async () => {
    chain = await startChain(31_337)
  })
  afterAll(async () => {
    await chain.stop()
  })

  const run = async (
    argv: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly code: number; readonly stdout: readonly string[]; readonly stderr: string }> => {
    const { manifestFolder, journalFolder } = folders()
    const stdout: string[] = []
    const stderr: string[] = []
    const code = await runDeploy([...argv, '--manifests', manifestFolder, '--journals', journalFolder], {
      env: { LOCAL_RPC_URL: chain.rpcUrl, ...env },
      root: '/nowhere',
      stdout: (line) => stdout.push(line),
      stderr: (line) => stderr.push(line),
    })
    return { code, stdout, stderr: stderr.join('\n') }
  }

  it('prints the manifest as one line of JSON, and progress elsewhere', async () => {
    const { code, stdout, stderr } = await run(['--network', 'localhost', '--json'])
    expect(code).toBe(0)
    expect(stdout).toHaveLength(1)
    expect(JSON.parse(stdout[0] ?? '')).toMatchObject({ chainId: 31_337 })
    expect(stderr).toMatch(/InferenceEscrow/)
  })

  it('prints the addresses one to a line without --json', async () => {
    const { code, stdout } = await run(['--network', 'localhost'])
    expect(code).toBe(0)
    expect(stdout.find((line) => line.startsWith('escrow '))).toMatch(/0x[0-9a-fA-F]{40}$/)
  })

  it('explains itself', async () => {
    const { code, stdout } = await run(['--help'])
    expect(code).toBe(0)
    expect(stdout.join('\n')).toMatch(/DEPLOYER_PRIVATE_KEY[\s\S]*OPENGRADIENT_TESTNET_RPC_URL/)
  })

  it.each([
    [[], /--network must be one of .*missing/],
    [['--network', 'mars'], /--network must be one of .*"mars"/],
    [['--network', '__proto__'], /--network must be one of/],
    [['--network', 'base', '--key', KEY], /--key/],
  ])('refuses the arguments %j', async (argv, message) => {
    const { code, stdout, stderr } = await run(argv)
    expect(code).toBe(2)
    expect(stderr).toMatch(message)
    expect(stdout).toEqual([])
  })

  it.each([
    ['base', {}, /DEPLOYER_PRIVATE_KEY/],
    ['base', { DEPLOYER_PRIVATE_KEY: 'secret' }, /DEPLOYER_PRIVATE_KEY/],
    ['base', { DEPLOYER_PRIVATE_KEY: `0x${'00'.repeat(32)}` }, /DEPLOYER_PRIVATE_KEY/],
    ['base', { DEPLOYER_PRIVATE_KEY: `0x${'ff'.repeat(32)}` }, /DEPLOYER_PRIVATE_KEY/],
    ['base', { DEPLOYER_PRIVATE_KEY: KEY, BASE_RPC_URL: 'ftp://secret' }, /BASE_RPC_URL/],
    ['base', { DEPLOYER_PRIVATE_KEY: KEY, BASE_RPC_URL: 'secret' }, /BASE_RPC_URL/],
    ['base', { DEPLOYER_PRIVATE_KEY: KEY, DEPLOY_TOKEN: '0x12' }, /DEPLOY_TOKEN/],
    ['base', { DEPLOYER_PRIVATE_KEY: KEY, DEPLOY_TEE_REGISTRY: 'null' }, /DEPLOY_TEE_REGISTRY/],
    ['localhost', { DEPLOY_TOKEN: '0x1111111111111111111111111111111111111111' }, /DEPLOY_TOKEN/],
    ['localhost', { DEPLOY_OWNER: '0x0000000000000000000000000000000000000000' }, /DEPLOY_OWNER/],
    ['localhost', { DEPLOY_OWNER: '0xFbC2051AE2265686a469421b2C5A2D5462FbF5Eb' }, /DEPLOY_OWNER.*checksum/],
    ['localhost', { DEPLOY_NETWORK_RECIPIENT: 'me' }, /DEPLOY_NETWORK_RECIPIENT/],
    ['localhost', { DEPLOY_NETWORK_BPS: '-1' }, /DEPLOY_NETWORK_BPS/],
    ['localhost', { DEPLOY_NETWORK_BPS: '1001' }, /DEPLOY_NETWORK_BPS/],
    ['localhost', { DEPLOY_NETWORK_BPS: '0.5' }, /DEPLOY_NETWORK_BPS/],
    ['localhost', { DEPLOY_NETWORK_BPS: '1e2' }, /DEPLOY_NETWORK_BPS/],
  ])('names the bad setting on %s %j, sends nothing, and shows no secret (N8)', async (network, env, message) => {
    const sent = await chain.sent()
    const { code, stdout, stderr } = await run(['--network', network], env)
    expect(code).toBe(1)
    expect(stderr).toMatch(message)
    expect(stderr).not.toMatch(/secret|abab|ffff/)
    expect(stdout).toEqual([])
    expect(await chain.sent()).toBe(sent)
  })
})
