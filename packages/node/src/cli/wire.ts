import {
  KeyUnusableError,
  WrongChainError,
  connectProvider,
  findDeployment,
  type CliEdge,
  type Logger,
  type Secret,
} from '@opg/operator'
import type { Deployment } from '@opg/bindings'
import type { Address, Hex } from '@opg/protocol'
import { computeAddress, type JsonRpcProvider } from 'ethers'
import type { ComputeBackend } from '../compute/backend.js'
import type { NodeConfig } from '../config/loadConfig.js'
import { SETTINGS, type Settings } from '../config/settings.js'
import type { NodeInfo } from '../http/info.js'
import type { VerifierOptions } from '../service/acceptVerifier.js'
import { openNode, type PaymentNode } from '../service/openNode.js'
import { DEFAULT_SETTLE_POLICY, type SettlePolicy } from '../settle/policy.js'
import { verifierInfo, verifiersOf } from './verifiers.js'

/** A node as it is configured, open. */
export interface WiredNode {
  readonly payments: PaymentNode
  readonly provider: JsonRpcProvider
  readonly deployment: Deployment
  readonly verifiers: readonly VerifierOptions[]
  readonly settlePolicy: SettlePolicy
}

export interface WireOptions {
  readonly config: NodeConfig
  readonly edge: CliEdge
  readonly logger: Logger
  /** The models that are served; none where the command serves nothing. */
  readonly modelIds: readonly Hex[]
  /** Whether an enclave's key, where there is one, must be fit for use: a command that signs nothing needs none. */
  readonly signs: boolean
}

/** Connects to the chain, finds the contracts and opens the books. Throws as `openNode` and `findDeployment` do. */
export async function wireNode({ config, edge, logger, modelIds, signs }: WireOptions): Promise<WiredNode> {
  const { settings, keys } = config
  const provider = await connectProvider(settings.rpcUrl)
  try {
    const { chainId } = await provider.getNetwork()
    if (settings.chainId !== undefined && BigInt(settings.chainId) !== chainId) {
      throw new WrongChainError("The RPC's chain id", { expected: String(settings.chainId), found: chainId.toString() })
    }
    const deployment = await findDeployment(chainId, {
      file: settings.deploymentFile,
      variable: SETTINGS.deploymentFile.variable,
    })
    const teeKey = signs ? keys.teeKey : undefined
    const verifiers = verifiersOf({ deployment, settings, nodeKey: keys.nodeKey, teeKey, edge })
    const settlePolicy = settlePolicyOf(settings)
    const payments = await openNode({
      rpc: provider,
      escrow: deployment.escrow,
      nodeKey: keys.nodeKey.reveal(),
      verifiers,
      databasePath: settings.database,
      modelIds,
      gate: {
        minNetNodeBps: settings.minNetNodeBps,
        minSecondsToClaimBy: settings.minSecondsToClaimBy,
        minAmount: settings.minAmount,
        refreshAfterMs: settings.refreshSeconds * 1000,
      },
      settle: settlePolicy,
      leaseMs: settings.leaseSeconds * 1000,
      clock: edge.clock,
      random: edge.random,
      sleep: edge.sleep,
      logger,
    })
    return { payments, provider, deployment, verifiers, settlePolicy }
  } catch (error) {
    provider.destroy()
    throw error
  }
}

/** The address of a node key. @throws {KeyUnusableError} without showing it */
export function nodeAddressOf(nodeKey: Secret): Address {
  try {
    return computeAddress(nodeKey.reveal()) as Address
  } catch {
    throw new KeyUnusableError("The node's key", 'a private key of secp256k1')
  }
}

function settlePolicyOf(settings: Settings): SettlePolicy {
  return {
    ...DEFAULT_SETTLE_POLICY,
    batchSize: settings.settleBatchSize,
    maxTransfersPerBatch: settings.settleMaxTransfers,
    opgPerWei: settings.opgPerWei,
    feesOverGas: BigInt(settings.settleFeesOverGas),
    maxAgeSeconds: settings.settleMaxAgeSeconds,
    closeBeforeClaimBySeconds: settings.settleCloseBeforeSeconds,
    idleCloseSeconds: settings.settleIdleCloseSeconds,
    claimThreshold: settings.claimThreshold,
    gasPerSlice: BigInt(settings.settleGasPerSlice),
    confirmations: settings.confirmations,
  }
}

/** What the node tells of itself. */
export function nodeInfo(
  { payments, deployment, verifiers }: WiredNode,
  { config, version }: { readonly config: NodeConfig; readonly version: string },
): NodeInfo {
  const { settings, keys } = config
  return {
    version,
    chainId: payments.chain.chainId,
    deploymentChainId: payments.chain.deploymentChainId,
    escrow: deployment.escrow,
    token: deployment.token,
    node: payments.node,
    verifiers: verifiers.flatMap(
      (verifier) => verifierInfo(verifier, { node: payments.node, teeKey: keys.teeKey }) ?? [],
    ),
    orders: {
      minAmount: settings.minAmount,
      minSecondsToClaimBy: settings.minSecondsToClaimBy,
      minNetNodeBps: settings.minNetNodeBps,
    },
  }
}

/** Frees models. */
export async function closeBackends(backends: readonly ComputeBackend[]): Promise<void> {
  await Promise.all(backends.map((backend) => backend.close()))
}
