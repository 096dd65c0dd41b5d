import {
  KeyUnusableError,
  WrongChainError,
  connectProvider,
  findDeployment,
  type CliEdge,
  type Logger,
  type Secret,
} from '@opg/operator'
import type { Address } from '@opg/protocol'
import { Wallet } from 'ethers'
import { isPostgres, type FacilitatorConfig } from '../config/loadConfig.js'
import { SETTINGS, type Settings } from '../config/settings.js'
import { createEngine } from '../engine/createEngine.js'
import { openEngineStore } from '../engine/store/engineStore.js'
import { openPostgres } from '../engine/store/postgres.js'
import type { SqlDatabase } from '../engine/store/sql.js'
import { openSqlite } from '../engine/store/sqlite.js'
import type { Engine } from '../engine/types.js'
import { createFacilitatorService, type FacilitatorService } from '../service.js'
import type { ChainReader } from '../verify/chainReader.js'
import { openDeployed } from '../verify/openDeployed.js'
import type { OfferPolicy } from '../verify/policy.js'
import { createRpcReader } from '../verify/rpcReader.js'

/** A facilitator as it is configured, open. */
export interface WiredFacilitator {
  readonly service: FacilitatorService
  readonly engine: Engine
  readonly reader: ChainReader
  /** Stops the engine, and closes the books and the connection. */
  close(): Promise<void>
}

/**
 * Connects to the chain, finds the contracts and opens the books. Nothing runs yet.
 *
 * @throws {ConfigError} {@link KeyUnusableError} {@link WrongChainError} {@link ChainUnavailableError} {@link StoreError}
 */
export async function wireFacilitator(input: {
  readonly config: FacilitatorConfig
  readonly edge: CliEdge
  readonly logger: Logger
}): Promise<WiredFacilitator> {
  const { config, edge, logger } = input
  const { settings } = config
  const signer = walletOf(config.key)
  const facilitator = signer.address as Address
  const provider = await connectProvider(settings.rpcUrl)
  let database: SqlDatabase | undefined
  try {
    const { chainId } = await provider.getNetwork()
    if (settings.chainId !== undefined && BigInt(settings.chainId) !== chainId) {
      throw new WrongChainError("The RPC's chain id", { expected: String(settings.chainId), found: chainId.toString() })
    }
    const { variable } = SETTINGS.deploymentFile
    const deployment = await findDeployment(chainId, { file: settings.deploymentFile, variable })
    const deployed = await openDeployed(provider, deployment)
    database = isPostgres(settings.database)
      ? openPostgres(settings.database, { logger })
      : openSqlite(settings.database)
    const store = await openEngineStore({
      database,
      identity: { escrow: deployed.escrow, chainId: deployed.deploymentChainId },
      clock: edge.clock,
      random: edge.random,
      leaseMs: settings.leaseSeconds * 1000,
    })
    const engine = createEngine({
      store,
      provider,
      signers: [signer],
      escrow: deployed.escrow,
      chainId,
      policy: enginePolicyOf(settings),
      laneRenewMs: (settings.leaseSeconds * 1000) / 4,
      clock: edge.clock,
      sleep: edge.sleep,
      logger,
    })
    const reader = createRpcReader({ provider, deployed, from: facilitator })
    const service = createFacilitatorService({
      deployed,
      policy: offerPolicyOf(settings, facilitator),
      reader,
      engine,
      lockTimeoutMs: settings.lockTimeoutSeconds * 1000,
      clock: edge.clock,
      logger,
    })
    return {
      service,
      engine,
      reader,
      close: async () => {
        await engine.stop()
        await store.close()
        provider.destroy()
      },
    }
  } catch (error) {
    await database?.close()
    provider.destroy()
    throw error
  }
}

function enginePolicyOf(settings: Settings): NonNullable<Parameters<typeof createEngine>[0]['policy']> {
  const { gatherMs, captureIntervalMs, confirmations, maxFeePerGas, minBalance } = settings
  const { maxUnopenedOfPayer, maxUnopened, maxUnpaidOfPayer, maxUnpaidOfNode, leastFee } = settings
  const { maxOpeningsOfPayer, maxOpeningsOfNode } = settings
  const unpaid = { maxUnpaidOfPayer, maxUnpaidOfNode, leastFee }
  const limits = { maxUnopenedOfPayer, maxUnopened, ...unpaid, maxOpeningsOfPayer, maxOpeningsOfNode }
  return { gatherMs, captureIntervalMs, confirmations, maxFeePerGas, minBalance, ...limits }
}

function offerPolicyOf(settings: Settings, facilitator: Address): OfferPolicy {
  const { minFacilitatorBps, minAmount, deadlineMarginSeconds, nodes, terms } = settings
  return {
    facilitator,
    minFacilitatorBps,
    minAmount,
    deadlineMarginSeconds,
    sponsorsApprovals: settings.sponsorApprovals,
    nodes: nodes === undefined ? undefined : new Set(nodes),
    terms: terms === undefined ? undefined : new Set(terms),
  }
}

/** @throws {KeyUnusableError} without showing it */
function walletOf(key: Secret): Wallet {
  try {
    return new Wallet(key.reveal())
  } catch {
    throw new KeyUnusableError("The facilitator's key", 'a private key of secp256k1')
  }
}
