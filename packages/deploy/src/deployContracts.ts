import { deploy, type DeploymentResult, DeploymentResultType } from '@nomicfoundation/ignition-core'
import type { Deployment } from '@opg/bindings'
import { parseAddress, PERMIT2 } from '@opg/protocol'
import type { BaseWallet } from 'ethers'
import { createdBy, type Deployable } from './artifacts.js'
import { type Chain, connect } from './chain.js'
import { check } from './check.js'
import { contractsModule, MODULE_ID } from './contractsModule.js'
import { deployPermit2 } from './deployPermit2.js'
import { hasUptoProxy, placeUptoProxy } from './uptoProxy.js'
import { DeployFailedError, WrongChainError } from './errors.js'
import { Journal } from './journal.js'
import { readManifest, removeManifest, writeManifest } from './manifest.js'
import { LOCAL_CHAIN_ID } from './networks.js'
import type { Parameters } from './parameters.js'
import { preflight } from './preflight.js'
import type { Rpc } from './rpc.js'
import { signingRpc } from './signingRpc.js'

type Address = `0x${string}`

/** What to deploy, and where. */
export interface DeployOptions {
  readonly rpc: Rpc
  readonly wallet: BaseWallet
  readonly parameters: Parameters
  /** The chain that is meant. Without it, a local one. */
  readonly network?: { readonly name: string; readonly chainIds: readonly number[] }
  /** Keeps `chain-<id>/`, from which a killed run is resumed. Without it nothing is kept. */
  readonly journalFolder?: string
  /** Keeps `<id>.json`. Without it nothing is kept. */
  readonly manifestFolder?: string
  readonly log?: (line: string) => void
}

/** Where the contracts are, and whether this run had anything to do. */
export interface DeployOutcome {
  readonly deployment: Deployment
  readonly changed: boolean
}

const LOCAL_NETWORK = { name: 'The local chain', chainIds: [LOCAL_CHAIN_ID] }

/**
 * Deploys what is not there yet, records it, and reads it back. A second run only reads back.
 *
 * @throws {WrongChainError} before anything else
 * @throws {PreflightError} if the chain lacks something, before anything is sent
 * @throws {DeployFailedError} if it could not be finished; run it again to go on
 * @throws {CheckFailedError} if what is on chain is not what was recorded or asked for
 */
export async function deployContracts(options: DeployOptions): Promise<DeployOutcome> {
  const chain = await connect(options.rpc)
  requireChain(chain, options)
  const journal =
    options.journalFolder === undefined ? undefined : new Journal(`${options.journalFolder}/chain-${String(chain.id)}`)
  if (journal !== undefined) await forgetLastChain(chain, options, journal)

  const { parameters, log = () => undefined } = options
  const recorded = options.manifestFolder === undefined ? undefined : readManifest(options.manifestFolder, chain.id)
  if (recorded !== undefined && !(await lacksSomething(chain, recorded, parameters))) {
    await check(chain, recorded, parameters)
    log(`Chain ${String(chain.id)}: everything is deployed and as recorded. Nothing to do.`)
    return { deployment: recorded, changed: false }
  }

  await preflight(chain, options.wallet.address, parameters)
  if (parameters.external?.teeRegistry === null)
    log('There is no registry of TEE keys here: TeeReceiptVerifier and GatewayReceiptVerifier are skipped.')
  const origin = journal?.origin() ?? (await chain.provider.getBlockNumber())
  journal?.begin(origin)
  const deployment = await apply(chain, { ...options, log }, { journal, origin })
  await check(chain, deployment, parameters)
  if (options.manifestFolder !== undefined) writeManifest(options.manifestFolder, deployment)
  return { deployment, changed: true }
}

async function apply(
  chain: Chain,
  { wallet, parameters, log }: DeployOptions & { readonly log: (line: string) => void },
  { journal, origin }: { readonly journal: Journal | undefined; readonly origin: number },
): Promise<Deployment> {
  const signer = signingRpc(chain.rpc, wallet, {
    chainId: chain.id,
    beforeSend: (transaction) => {
      const contract = createdBy(transaction.data)
      // Permit2 is not Ignition's: it goes to one address, however often it is sent.
      if (contract !== undefined) journal?.willSend(transaction)
      log(`Sending ${contract ?? 'Permit2'}: ${transaction.hash}`)
    },
  })
  const { external, ...values } = parameters
  const isLocal = external === undefined
  if (isLocal) {
    await deployPermit2(chain, { signer, from: wallet.address })
    await placeUptoProxy(chain)
  }
  const upto = await hasUptoProxy(chain)
  const result = await run(async () => {
    await journal?.recover(chain.rpc)
    return await deploy({
      provider: signer,
      ignitionModule: contractsModule({ dev: isLocal, tee: isLocal || external.teeRegistry !== null, upto }),
      deploymentParameters: { [MODULE_ID]: { ...values, permit2: PERMIT2, ...moduleAddresses(parameters) } },
      accounts: [wallet.address],
      artifactResolver: NO_ARTIFACTS,
      ...(journal === undefined ? {} : { deploymentDir: journal.folder }),
      ...(isLocal ? { config: { requiredConfirmations: 1, blockPollingInterval: 20 } } : {}),
    })
  })
  return toDeployment(chain, addressesOf(result), { parameters, origin, upto })
}

/** The module carries its artifacts. */
const NO_ARTIFACTS = {
  loadArtifact: (name: string) => Promise.reject(new DeployFailedError(`no artifact of ${name} was given.`)),
  getBuildInfo: () => Promise.resolve(undefined),
}

function moduleAddresses({ external }: Parameters): Record<string, string> {
  if (external === undefined) return {}
  return { token: external.token, ...(external.teeRegistry === null ? {} : { teeRegistry: external.teeRegistry }) }
}

async function run(start: () => Promise<DeploymentResult>): Promise<DeploymentResult> {
  try {
    return await start()
  } catch (cause) {
    throw new DeployFailedError(cause instanceof Error ? cause.message : String(cause), { cause })
  }
}

function addressesOf(result: DeploymentResult): ReadonlyMap<string, Address> {
  switch (result.type) {
    case DeploymentResultType.SUCCESSFUL_DEPLOYMENT:
      return new Map(
        Object.values(result.contracts).map(({ contractName, address }) => [contractName, parseAddress(address)]),
      )
    case DeploymentResultType.EXECUTION_ERROR: {
      const failed = result.failed.map(({ futureId, error }) => `${futureId}: ${error}`)
      const open = [...result.timedOut, ...result.held].map(({ futureId }) => `${futureId} is not confirmed yet`)
      throw new DeployFailedError(`${[...failed, ...open].join('; ')}.`)
    }
    default: {
      const reasons = Object.entries(result.errors).map(([futureId, errors]) => `${futureId}: ${errors.join(', ')}`)
      throw new DeployFailedError(`${reasons.join('; ')}.`)
    }
  }
}

function toDeployment(
  chain: Chain,
  addresses: ReadonlyMap<string, Address>,
  {
    parameters: { external },
    origin,
    upto,
  }: { readonly parameters: Parameters; readonly origin: number; readonly upto: boolean },
): Deployment {
  const address = (name: Deployable): Address => {
    const found = addresses.get(name)
    if (found === undefined) throw new DeployFailedError(`the journal has no ${name}.`)
    return found
  }
  const teeRegistry = external === undefined ? address('DevTEERegistry') : external.teeRegistry
  return {
    chainId: chain.id,
    deployedAtBlock: origin,
    token: external?.token ?? address('DevOPG'),
    permit2: PERMIT2,
    feePolicy: address('FeePolicy'),
    modelRegistry: address('ModelRegistry'),
    escrow: address('InferenceEscrow'),
    keyReceiptVerifier: address('InferenceEscrow'), // it is one
    voucherReceiptVerifier: address('VoucherReceiptVerifier'),
    quorumReceiptVerifier: address('QuorumReceiptVerifier'),
    gatewayReceiptVerifier: teeRegistry === null ? null : address('GatewayReceiptVerifier'),
    teeReceiptVerifier: teeRegistry === null ? null : address('TeeReceiptVerifier'),
    teeRegistry,
    uptoAdapter: upto ? address('UptoAdapter') : null,
  }
}

function requireChain(chain: Chain, { network = LOCAL_NETWORK, parameters }: DeployOptions): void {
  // Development contracts go to local chains only, whatever the caller says.
  const allowed = parameters.external === undefined ? LOCAL_NETWORK.chainIds : network.chainIds
  if (network.chainIds.includes(chain.id) && allowed.includes(chain.id)) return
  throw new WrongChainError({ network: network.name, expected: network.chainIds, found: chain.id })
}

/** A local chain that was started anew has nothing of what was recorded of the last one. */
async function forgetLastChain(chain: Chain, options: DeployOptions, journal: Journal): Promise<void> {
  if (chain.id !== LOCAL_CHAIN_ID || journal.origin() === undefined || (await journal.isOf(chain.rpc))) return
  options.log?.('Nothing that is recorded of the local chain is on it: starting afresh.')
  journal.forget()
  if (options.manifestFolder !== undefined) removeManifest(options.manifestFolder, chain.id)
}

/** What the chain has room for now, and had not when it was recorded. */
async function lacksSomething(chain: Chain, recorded: Deployment, { external }: Parameters): Promise<boolean> {
  if (recorded.teeReceiptVerifier === null && external !== undefined && external.teeRegistry !== null) return true
  return recorded.uptoAdapter === null && (await hasUptoProxy(chain))
}
