import {
  KeyUnusableError,
  WrongChainError,
  connectProvider,
  type Clock,
  type Logger,
  type RandomBytes,
  type Sleep,
} from '@opg/operator'
import type { Address, Hex } from '@opg/protocol'
import { type JsonRpcProvider, Wallet } from 'ethers'
import { type EscrowReader, openEscrowReader } from '../chain/escrowReader.js'
import type { GatePolicy } from '../gate/policy.js'
import { DEFAULT_SETTLE_POLICY, type SettlePolicy } from '../settle/policy.js'
import { type Settler, createSettler } from '../settle/settler.js'
import { openSqliteStore } from '../store/sqliteStore.js'
import type { NodeStore } from '../store/types.js'
import { type VerifierOptions, acceptVerifier } from './acceptVerifier.js'
import { createPaidService } from './paidService.js'
import { type NodeStatus, readStatus } from './status.js'
import type { PaidService } from './types.js'

export interface NodeOptions {
  /** An RPC's URL, or a provider that is connected already. */
  readonly rpc: string | JsonRpcProvider
  /** Where set, the live chain must have this id. */
  readonly chainId?: bigint
  readonly escrow: Address
  /** 32 bytes as 0x and hexadecimal digits: the node's address is its, and it pays the gas. Never logged (N8). */
  readonly nodeKey: string
  /** At least one: whose judgement is accepted, and with which key it is convinced. */
  readonly verifiers: readonly VerifierOptions[]
  /** The database's file. */
  readonly databasePath: string
  /** bytes32 each. */
  readonly modelIds: readonly Hex[]
  readonly gate?: Partial<Omit<GatePolicy, 'node' | 'verifiers' | 'modelIds'>>
  /** Its `confirmations` also say how deep an order must stand before it gets work; 1 where left out. */
  readonly settle?: Partial<SettlePolicy>
  readonly leaseMs?: number
  readonly clock: Clock
  readonly random: RandomBytes
  readonly sleep: Sleep
  readonly logger: Logger
}

/** A node's payment core, open and ready. */
export interface PaymentNode {
  readonly node: Address
  readonly service: PaidService
  readonly settler: Settler
  readonly chain: EscrowReader
  readonly store: NodeStore
  status(): Promise<NodeStatus>
  /** Keeps the reservations of this process alive, and settles, until aborted. A node that serves must run it. */
  run(options: { readonly signal: AbortSignal; readonly settleIntervalMs: number }): Promise<void>
  /** Gives back what is reserved, and closes the database. */
  close(): Promise<void>
}

const DEFAULT_GATE = {
  minNetNodeBps: 5_000,
  minSecondsToClaimBy: 1_200,
  minAmount: 1n,
  refreshAfterMs: 15_000,
}
const DEFAULT_LEASE_MS = 20_000

/**
 * Puts a node together: chain, books, gate, settler.
 *
 * @throws {KeyUnusableError} if a key is none
 * @throws {WrongChainError} if the chain, the contracts or the database are others than expected
 * @throws {ChainUnavailableError}
 * @throws {StoreError}
 */
export async function openNode(options: NodeOptions): Promise<PaymentNode> {
  const { clock, random, sleep, logger, leaseMs = DEFAULT_LEASE_MS } = options
  const signer = walletOf(options.nodeKey)
  const node = signer.address as Address
  const provider = typeof options.rpc === 'string' ? await connectProvider(options.rpc) : options.rpc
  const settlePolicy: SettlePolicy = { ...DEFAULT_SETTLE_POLICY, ...options.settle }
  const { confirmations } = settlePolicy
  const chain = await openEscrowReader({ provider, escrow: options.escrow, confirmations })
  if (options.chainId !== undefined && options.chainId !== chain.chainId) {
    const ids = { expected: options.chainId.toString(), found: chain.chainId.toString() }
    throw new WrongChainError("The RPC's chain id", ids)
  }
  const { escrow } = options
  const verifiers = await Promise.all(
    options.verifiers.map((verifier) => acceptVerifier({ provider, node, escrow, verifier, logger })),
  )
  const store = await openSqliteStore({
    path: options.databasePath,
    identity: { node, escrow: options.escrow, chainId: chain.deploymentChainId },
    clock,
    random,
    leaseMs,
  })
  // What no receipt can be signed for is only settled.
  const live = verifiers.filter((verifier) => verifier.signer !== undefined)
  const gatePolicy: GatePolicy = {
    ...DEFAULT_GATE,
    ...options.gate,
    node,
    verifiers: live,
    modelIds: options.modelIds,
  }
  const service = createPaidService({ policy: gatePolicy, store, chain, clock, logger })
  const settler = createSettler({
    store,
    chain,
    provider,
    signer,
    verifiers,
    policy: settlePolicy,
    clock,
    sleep,
    logger,
    laneRenewMs: leaseMs / 4,
  })

  async function beat(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await store.heartbeat()
      await sleep(leaseMs / 4, signal)
    }
  }

  return {
    node,
    service,
    settler,
    chain,
    store,
    status: () => readStatus({ store, chain, node }),
    run: async ({ signal, settleIntervalMs }) => {
      await Promise.all([beat(signal), settler.run({ signal, intervalMs: settleIntervalMs })])
    },
    close: async () => {
      await store.close()
      provider.destroy()
    },
  }
}

function walletOf(privateKey: string): Wallet {
  const error = new KeyUnusableError("The node's key", 'an ECDSA private key: 0x and 64 hexadecimal digits')
  if (!/^0x[0-9a-fA-F]{64}$/.test(privateKey)) throw error
  try {
    return new Wallet(privateKey)
  } catch {
    throw error // without the cause, which might quote the key
  }
}
