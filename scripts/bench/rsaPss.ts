import { waitForReceipt } from '@opg/payer'
import {
  ContractFactory,
  type InterfaceAbi,
  JsonRpcProvider,
  keccak256,
  type Signer,
  type TransactionResponse,
} from 'ethers'
import { spawn } from 'node:child_process'
import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'

/** Execution gas of one RSA-PSS verification with a 2048-bit key whose modulus is cached. */
export interface RsaPssGas {
  /** On the prague rules. */
  readonly rsaPss2048Exec: number
  /** On the osaka rules, where modular exponentiation costs more. */
  readonly rsaPss2048ExecOsaka: number
}

/** What the benchmark needs of Hardhat's artifacts: `hre.artifacts` fits. */
export interface ArtifactReader {
  readArtifact(name: string): Promise<{ abi: InterfaceAbi; bytecode: string }>
}

/** The bench refused to give a figure, since what it measured was not a valid verification. */
export class RsaPssBenchError extends Error {
  readonly code = 'RSA_PSS_BENCH'
  override readonly name = 'RsaPssBenchError'
}

/**
 * Measures on two fresh chains, one for each set of rules, that are started for it and stopped after it.
 * Contracts must be compiled.
 */
export async function measureRsaPss(artifacts: ArtifactReader): Promise<RsaPssGas> {
  return {
    rsaPss2048Exec: await onFreshChain('prague', (signer) => measureOn(signer, artifacts)),
    rsaPss2048ExecOsaka: await onFreshChain('osaka', (signer) => measureOn(signer, artifacts)),
  }
}

/**
 * Deploys the verifier with a meter around its signature check, caches a key, and has it check one signature.
 * The figure runs from finding the cached modulus to the verdict, with the account that holds it cold, as at the first
 * check of a transaction. It leaves out the transaction, its calldata, the escrow, and the two calls to the registry.
 */
export async function measureOn(signer: Signer, artifacts: ArtifactReader): Promise<number> {
  const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const der = publicKey.export({ type: 'spki', format: 'der' })
  const teeId = keccak256(der)
  const digest = keccak256('0x01')
  const signature = sign('sha256', Buffer.from(digest.slice(2), 'hex'), {
    key: privateKey,
    padding: constants.RSA_PKCS1_PSS_PADDING,
    saltLength: 32,
  })

  const registry = await deploy(signer, artifacts, 'DevTEERegistry', [])
  const owner = await signer.getAddress()
  await confirmed(registry.getFunction('register').send(der, owner, '', 0))
  const bench = await deploy(signer, artifacts, 'TeeVerifierBench', [await registry.getAddress()])
  await confirmed(bench.getFunction('cacheKey').send(teeId))

  const result: unknown = await bench.getFunction('meter').staticCallResult(teeId, digest, signature)
  const [valid, gasUsed] = result as readonly [boolean, bigint]
  if (!valid) throw new RsaPssBenchError(`The verifier refused a good signature of TEE ${teeId}: nothing to measure.`)
  return Number(gasUsed)
}

async function deploy(signer: Signer, artifacts: ArtifactReader, name: string, args: readonly unknown[]) {
  const { abi, bytecode } = await artifacts.readArtifact(name)
  const contract = await new ContractFactory(abi, bytecode, signer).deploy(...args)
  const sent = contract.deploymentTransaction()
  if (sent !== null) await waitForReceipt(sent)
  return contract
}

async function confirmed(sent: Promise<TransactionResponse>): Promise<void> {
  await waitForReceipt(await sent)
}

/** Starts anvil with the given rules on a port of its choice, runs `use` with its first account, and stops it. */
async function onFreshChain<T>(hardfork: string, use: (signer: Signer) => Promise<T>): Promise<T> {
  const bin = join(dirname(createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json')), 'bin.mjs')
  const anvil = spawn(process.execPath, [bin, '--hardfork', hardfork, '--port', '0'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(anvil, 'exit')
  try {
    const provider = new JsonRpcProvider(await listeningAt(anvil.stdout), undefined, { cacheTimeout: -1 })
    try {
      return await use(await provider.getSigner(0))
    } finally {
      provider.destroy()
    }
  } finally {
    anvil.kill('SIGTERM')
    await exited
  }
}

async function listeningAt(stdout: Readable): Promise<string> {
  for await (const line of createInterface({ input: stdout })) {
    const address = /^Listening on (\S+)$/.exec(line)?.[1]
    if (address !== undefined) {
      stdout.resume() // later lines are not read, and must not block the process
      return `http://${address}`
    }
  }
  throw new RsaPssBenchError('anvil ended before it listened. Run it by hand to see why: npx anvil --port 0')
}
