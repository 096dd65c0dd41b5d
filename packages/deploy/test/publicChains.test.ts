import { existsSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import {
  deployContracts,
  type DeployOptions,
  type DeployOutcome,
  httpRpc,
  NETWORKS,
  PreflightError,
  readSettings,
  RpcError,
  WrongChainError,
} from '../src/index.js'
import { startChain, type TestChain } from './support/chain.js'
import { folders } from './support/folders.js'

const PERMIT2 = '0x000000000022D473030F116dDEE9F6B43aC78BA3'
/** Answers every call with this number, which makes it token enough to be looked at. */
const answering = (value: number): string => `0x60${value.toString(16).padStart(2, '0')}5f5260205ff3`

describe('deployContracts on a public chain (a real process that has its id)', () => {
  let chain: TestChain

  afterEach(async () => {
    // Whatever was refused was refused before anything was sent.
    await chain.stop()
  })

  const settings = (name: string, env: Readonly<Record<string, string>> = {}): Omit<DeployOptions, 'rpc'> => {
    const network = NETWORKS.find((candidate) => candidate.name === name) ?? NETWORKS[0]
    if (network === undefined) throw new TypeError(name)
    const key = chain.deployer.privateKey
    return { network, ...readSettings(network, { DEPLOYER_PRIVATE_KEY: key, ...env }) }
  }
  const deploy = (name: string, more: Partial<DeployOptions> = {}, env = {}): Promise<DeployOutcome> =>
    deployContracts({ rpc: chain.rpc, ...settings(name, env), ...more })
  const prepare = async (name: string): Promise<void> => {
    const { external } = settings(name).parameters
    if (external === undefined) throw new TypeError(name)
    await chain.setCode(PERMIT2, answering(1))
    await chain.setCode(external.token, answering(18))
    if (external.teeRegistry !== null) await chain.setCode(external.teeRegistry, answering(0))
  }

  it.each([10_740, 10_744])('records OpenGradient under the id that it answers, %d', async (chainId) => {
    chain = await startChain(chainId)
    await prepare('opengradientTestnet')
    const kept = folders()
    const { deployment } = await deploy('opengradientTestnet', kept)
    expect(deployment.chainId).toBe(chainId)
    expect(deployment.teeRegistry).toBe('0x703cB174AEadB35D611858369B4b1111dC9Abda6')
    expect(deployment.teeReceiptVerifier).not.toBeNull()
    expect(existsSync(`${kept.manifestFolder}/${String(chainId)}.json`)).toBe(true)
    // Policy, registry, escrow and four verifiers: nothing that is for development.
    expect(await chain.sent()).toBe(7)
    expect((await deploy('opengradientTestnet', kept)).changed).toBe(false)
    expect(await chain.sent()).toBe(7)
  })

  it('leaves out the TEE verifier where there is no registry, and adds it once there is one', async () => {
    chain = await startChain(8_453)
    await prepare('base')
    const kept = folders()
    const lines: string[] = []
    const first = await deploy('base', { ...kept, log: (line) => lines.push(line) })
    expect(first.deployment).toMatchObject({ teeReceiptVerifier: null, gatewayReceiptVerifier: null })
    expect(lines.join('\n')).toMatch(/TeeReceiptVerifier and GatewayReceiptVerifier are skipped/)

    const registry = '0x1111111111111111111111111111111111111111'
    await chain.setCode(registry, answering(0))
    const second = await deploy('base', kept, { DEPLOY_TEE_REGISTRY: registry })
    expect(second).toMatchObject({
      changed: true,
      deployment: { escrow: first.deployment.escrow, teeRegistry: registry },
    })
    expect(second.deployment.teeReceiptVerifier).not.toBeNull()
    expect(second.deployment.gatewayReceiptVerifier).not.toBeNull()
  })

  it('refuses a chain with another id', async () => {
    chain = await startChain(84_532)
    await prepare('baseSepolia')
    await expect(deploy('base')).rejects.toThrow(WrongChainError)
    await expect(deploy('opengradientTestnet')).rejects.toThrow(/10740 or 10744, but the RPC endpoint answers 84532/)
    expect(await chain.sent()).toBe(0)
  })

  it('never puts development contracts on it, whatever the caller says', async () => {
    chain = await startChain(8_453)
    const { external: _, ...parameters } = settings('base').parameters
    await expect(deploy('base', { parameters })).rejects.toThrow(WrongChainError)
    expect(await chain.sent()).toBe(0)
  })

  it('refuses a chain without Permit2, token or registry, naming which', async () => {
    chain = await startChain(10_740)
    await expect(deploy('opengradientTestnet')).rejects.toThrow(PreflightError)
    await expect(deploy('opengradientTestnet')).rejects.toThrow(/0x000000000022D473030F116dDEE9F6B43aC78BA3.*Permit2/)
    await chain.setCode(PERMIT2, answering(1))
    await expect(deploy('opengradientTestnet')).rejects.toThrow(/DEPLOY_TOKEN/)
    await prepare('opengradientTestnet')
    await chain.setCode('0x703cB174AEadB35D611858369B4b1111dC9Abda6', '0x')
    await expect(deploy('opengradientTestnet')).rejects.toThrow(/DEPLOY_TEE_REGISTRY/)
    expect(await chain.sent()).toBe(0)
  })

  it('refuses a token without 18 decimals', async () => {
    chain = await startChain(8_453)
    await prepare('base')
    const token = settings('base').parameters.external?.token ?? ''
    await chain.setCode(token, answering(6))
    await expect(deploy('base')).rejects.toThrow(/has 6 decimals, expected 18/)
    await chain.setCode(token, '0xfe')
    await expect(deploy('base')).rejects.toThrow(/has no decimals/)
    expect(await chain.sent()).toBe(0)
  })

  it('refuses a deployer that cannot pay', async () => {
    chain = await startChain(8_453)
    await prepare('base')
    for (const balance of [0n, 10n ** 12n]) {
      await chain.setBalance(chain.deployer.address, balance)
      await expect(deploy('base')).rejects.toThrow(/holds 0\.0\d* of the native coin, and deploying may cost/)
    }
    expect(await chain.sent()).toBe(0)
  })

  it('says that the endpoint cannot be reached, without the key in its URL (N8)', async () => {
    chain = await startChain(8_453)
    const failing = deploy('base', { rpc: httpRpc('http://127.0.0.1:9/v3/secret-key') })
    await expect(failing).rejects.toThrow(RpcError)
    await expect(failing).rejects.not.toThrow(/secret/)
  })
})
