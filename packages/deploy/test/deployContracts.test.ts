import { appendFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type Deployment, FeePolicy__factory, InferenceEscrow__factory } from '@opg/bindings'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  CheckFailedError,
  deployContracts,
  type DeployOptions,
  type DeployOutcome,
  ManifestInvalidError,
  type Parameters,
} from '../src/index.js'
import { startChain, type TestChain } from './support/chain.js'
import { folders } from './support/folders.js'

describe('deployContracts on a local chain', () => {
  let chain: TestChain
  let parameters: Parameters

  beforeEach(async () => {
    chain = await startChain(31_337)
    const owner = chain.deployer.address as `0x${string}`
    parameters = { owner, networkRecipient: owner, networkBps: 500 }
  })
  afterEach(async () => {
    await chain.stop()
  })

  const deploy = (options: Partial<DeployOptions>): Promise<DeployOutcome> =>
    deployContracts({ rpc: chain.rpc, wallet: chain.deployer, parameters, ...options })

  it('deploys everything, Permit2 at its address', async () => {
    const kept = folders()
    const { deployment, changed } = await deploy(kept)
    expect(changed).toBe(true)
    expect(deployment.permit2).toBe('0x000000000022D473030F116dDEE9F6B43aC78BA3')
    expect(readManifest(kept.manifestFolder)).toEqual(deployment)
    expect(readdirSync(kept.manifestFolder)).toEqual(['31337.json'])
  })

  it('changes nothing the second time, and says so', async () => {
    const kept = folders()
    const first = await deploy(kept)
    const sent = await chain.sent()
    const lines: string[] = []
    const second = await deploy({ ...kept, log: (line) => lines.push(line) })
    expect(second).toEqual({ deployment: first.deployment, changed: false })
    expect(await chain.sent()).toBe(sent)
    expect(lines.join('\n')).toMatch(/Nothing to do/)
  })

  it('writes a lost manifest anew from the journal, without sending anything', async () => {
    const kept = folders()
    const first = await deploy(kept)
    const sent = await chain.sent()
    rmSync(kept.manifestFolder, { recursive: true })
    const second = await deploy(kept)
    expect(second.deployment).toEqual(first.deployment)
    expect(readManifest(kept.manifestFolder)).toEqual(first.deployment)
    expect(await chain.sent()).toBe(sent)
  })

  it('survives files that a kill cut off', async () => {
    const kept = folders()
    const first = await deploy(kept)
    rmSync(kept.manifestFolder, { recursive: true })
    for (const name of ['journal.jsonl', 'sent.jsonl']) {
      appendFileSync(`${kept.journalFolder}/chain-31337/${name}`, '\n{"type":"TRANSACTION_SE')
    }
    writeFileSync(`${kept.journalFolder}/chain-31337/deployed_addresses.json`, '{')
    expect((await deploy(kept)).deployment).toEqual(first.deployment)
    expect(await chain.sent()).toBe(11)
  })

  it('sends what was announced and never signed', async () => {
    const kept = folders()
    const { deployment } = await deploy(kept)
    rmSync(kept.manifestFolder, { recursive: true })
    // Back to the moment in which Ignition had announced the last contract, and this package had not signed it yet.
    await chain.rpc.request({ method: 'anvil_rollback', params: [1] })
    const journal = `${kept.journalFolder}/chain-31337/journal.jsonl`
    const lines = readFileSync(journal, 'utf8').split('\n')
    const last = lines.findLastIndex((line) => line.includes('TRANSACTION_PREPARE_SEND'))
    writeFileSync(journal, lines.slice(0, last + 1).join('\n'))
    const sent = `${kept.journalFolder}/chain-31337/sent.jsonl`
    writeFileSync(sent, readFileSync(sent, 'utf8').split('\n').slice(0, -1).join('\n'))
    expect(await chain.sent()).toBe(10)
    expect((await deploy(kept)).deployment).toEqual(deployment)
    expect(await chain.sent()).toBe(11)
  })

  it('goes on where a contract was confirmed before the one sent ahead of it', async () => {
    const kept = folders()
    const { deployment } = await deploy(kept)
    rmSync(kept.manifestFolder, { recursive: true })
    await chain.rpc.request({ method: 'anvil_rollback', params: [2] })
    const folder = `${kept.journalFolder}/chain-31337`
    const lines = readFileSync(`${folder}/journal.jsonl`, 'utf8').split('\n')
    // The last of its batch; the adapter comes in the next.
    const last = lines.findIndex((line) =>
      /TRANSACTION_PREPARE_SEND.*TeeReceiptVerifier|TeeReceiptVerifier.*TRANSACTION_PREPARE_SEND/.test(line),
    )
    const isOpen = (line: string): boolean =>
      line.includes('GatewayReceiptVerifier') && /TRANSACTION_CONFIRM|STATE_COMPLETE/.test(line)
    const cut = lines.slice(0, last + 1).filter((line) => !isOpen(line))
    expect(cut).toHaveLength(last - 1)
    writeFileSync(`${folder}/journal.jsonl`, cut.join('\n'))
    const sent = readFileSync(`${folder}/sent.jsonl`, 'utf8').split('\n')
    writeFileSync(`${folder}/sent.jsonl`, sent.slice(0, -2).join('\n'))
    expect((await deploy(kept)).deployment).toEqual(deployment)
    expect(await chain.sent()).toBe(11)
  })

  it('deploys again to a local chain that was started anew', async () => {
    const kept = folders()
    await deploy(kept)
    await chain.stop()
    chain = await startChain(31_337)
    const { deployment, changed } = await deploy(kept)
    expect(changed).toBe(true)
    expect(await chain.provider.getCode(deployment.escrow)).not.toBe('0x')
  })

  it('finds a manifest that names another address', async () => {
    const kept = folders()
    const { deployment } = await deploy(kept)
    const tampered: readonly Partial<Deployment>[] = [
      { escrow: deployment.feePolicy },
      { escrow: parameters.owner },
      { token: deployment.modelRegistry },
      { keyReceiptVerifier: deployment.teeReceiptVerifier ?? parameters.owner },
      { voucherReceiptVerifier: deployment.quorumReceiptVerifier },
      { quorumReceiptVerifier: deployment.voucherReceiptVerifier },
      { gatewayReceiptVerifier: deployment.teeReceiptVerifier },
      { permit2: deployment.escrow },
      { teeRegistry: deployment.token },
    ]
    for (const change of tampered) {
      writeManifest(kept.manifestFolder, { ...deployment, ...change })
      await expect(deploy(kept), JSON.stringify(change)).rejects.toThrow(CheckFailedError)
      await expect(deploy(kept)).rejects.toThrow(new RegExp(Object.keys(change)[0] ?? '', 'i'))
    }
    expect(await chain.sent()).toBe(11)
  })

  it('finds a second token of the same code in the manifest', async () => {
    const kept = folders()
    const { deployment } = await deploy(kept)
    const other = await deploy({})
    writeManifest(kept.manifestFolder, { ...deployment, token: other.deployment.token })
    await expect(deploy(kept)).rejects.toThrow(/escrow\.TOKEN/)
  })

  it('finds other code at an address', async () => {
    const kept = folders()
    const { deployment } = await deploy(kept)
    const code = await chain.provider.getCode(deployment.escrow)
    await chain.setCode(deployment.escrow, `${code.slice(0, -2)}${code.endsWith('00') ? '01' : '00'}`)
    await expect(deploy(kept)).rejects.toThrow(/escrow .*expected InferenceEscrow, found other code/)
  })

  it('finds a policy that was changed since, and takes it once it is asked for', async () => {
    const kept = folders()
    const { deployment } = await deploy(kept)
    const policy = FeePolicy__factory.connect(deployment.feePolicy, chain.deployer.connect(chain.provider))
    await (await policy.setNetworkBps(600)).wait()
    await expect(deploy(kept)).rejects.toThrow(/feePolicy\.networkBps: expected 500, found 600/)
    const asked = { ...kept, parameters: { ...parameters, networkBps: 600 } }
    // The escrow keeps the old share for its orders until anybody has it take over the new one.
    await expect(deploy(asked)).rejects.toThrow(/escrow\.networkBps: expected 600, found 500/)
    const escrow = InferenceEscrow__factory.connect(deployment.escrow, chain.deployer.connect(chain.provider))
    await (await escrow.syncNetworkBps()).wait()
    const second = await deploy(asked)
    expect(second).toEqual({ deployment, changed: false })
  })

  it('refuses a manifest that it cannot read', async () => {
    const kept = folders()
    const { deployment } = await deploy(kept)
    for (const text of [
      '{',
      '[]',
      JSON.stringify({ ...deployment, escrow: '0x12' }),
      JSON.stringify({ ...deployment, chainId: 1 }),
      // One of a release that had fewer verifiers.
      JSON.stringify({ ...deployment, voucherReceiptVerifier: undefined }),
    ]) {
      writeFileSync(`${kept.manifestFolder}/31337.json`, text)
      await expect(deploy(kept)).rejects.toThrow(ManifestInvalidError)
    }
  })
})

function readManifest(folder: string): unknown {
  return JSON.parse(readFileSync(`${folder}/31337.json`, 'utf8'))
}

function writeManifest(folder: string, deployment: Deployment): void {
  writeFileSync(`${folder}/31337.json`, JSON.stringify(deployment))
}
