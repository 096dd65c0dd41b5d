import {
  type Deployment,
  type DevOPG,
  DevOPG__factory,
  type DevTEERegistry,
  DevTEERegistry__factory,
  type FeePolicy,
  FeePolicy__factory,
  type GatewayReceiptVerifier,
  GatewayReceiptVerifier__factory,
  type InferenceEscrow,
  InferenceEscrow__factory,
  type KeyReceiptVerifier,
  KeyReceiptVerifier__factory,
  type ModelRegistry,
  ModelRegistry__factory,
  permit2Abi,
  type QuorumReceiptVerifier,
  QuorumReceiptVerifier__factory,
  type TeeReceiptVerifier,
  TeeReceiptVerifier__factory,
  type UptoAdapter,
  UptoAdapter__factory,
  type VoucherReceiptVerifier,
  VoucherReceiptVerifier__factory,
} from '@opg/bindings'
import { deployContracts, httpRpc, LOCAL_CHAIN_ID } from '@opg/deploy'
import { Contract, type ContractRunner, type JsonRpcProvider, toQuantity, type Wallet, ZeroAddress } from 'ethers'
import { DevnetProvider } from './devnetProvider.js'
import { devWallets } from './devWallets.js'
import { SnapshotUnknownError } from './errors.js'
import { type AnvilOptions, startAnvil } from './startAnvil.js'

/** The contracts of a devnet; transactions come from wallet 0 unless connected to another. */
export interface DevnetContracts {
  readonly escrow: InferenceEscrow
  readonly token: DevOPG
  readonly permit2: Contract
  readonly feePolicy: FeePolicy
  readonly modelRegistry: ModelRegistry
  readonly teeRegistry: DevTEERegistry
  readonly keyReceiptVerifier: KeyReceiptVerifier
  readonly voucherReceiptVerifier: VoucherReceiptVerifier
  readonly quorumReceiptVerifier: QuorumReceiptVerifier
  readonly gatewayReceiptVerifier: GatewayReceiptVerifier
  readonly teeReceiptVerifier: TeeReceiptVerifier
  readonly uptoAdapter: UptoAdapter
}

/** A local chain with all contracts. */
export interface Devnet {
  readonly rpcUrl: string
  readonly chainId: number
  readonly deployment: Deployment
  /** Caches nothing, polls often and misses no receipt. */
  readonly provider: JsonRpcProvider
  /** Wallet 0 deployed the contracts, owns the fee policy and receives the network's share. All hold the native coin. */
  readonly wallets: readonly [
    Wallet,
    Wallet,
    Wallet,
    Wallet,
    Wallet,
    Wallet,
    Wallet,
    Wallet,
    Wallet,
    Wallet,
    ...Wallet[],
  ]
  readonly contracts: DevnetContracts
  /** Makes OPG out of nothing, in base units. */
  mint(to: string, amount: bigint): Promise<void>
  /** Lets time pass, and mines a block in which it has passed. */
  increaseTime(seconds: number): Promise<void>
  /** The timestamp of the latest block, in seconds. */
  now(): Promise<number>
  mine(blocks?: number): Promise<void>
  setAutomine(on: boolean): Promise<void>
  /** An id for `revert`, which uses it up. */
  snapshot(): Promise<string>
  revert(id: string): Promise<void>
  /** Replaces the last blocks by as many empty ones: their transactions never happened. */
  reorg(depth: number): Promise<void>
  /** Ends the connection, and the chain process if this devnet started it. */
  stop(): Promise<void>
}

/** What a devnet of another process is known by. It can be passed on as JSON. */
export interface DevnetAddress {
  readonly rpcUrl: string
  /** Without it, the contracts are deployed. */
  readonly deployment?: Deployment
}

const WALLETS = 20
const MINT_TIMEOUT_MS = 60_000

/** Starts a chain process and deploys everything. It ends with this process, or with `stop`. @throws {AnvilStartError} */
export async function startDevnet(options: AnvilOptions = {}): Promise<Devnet> {
  const anvil = await startAnvil({ accounts: WALLETS, ...options })
  try {
    return await attach({ rpcUrl: anvil.rpcUrl }, () => anvil.stop())
  } catch (error) {
    await anvil.stop()
    throw error
  }
}

/** Uses a local chain that runs already: `stop` leaves it running. */
export async function attachDevnet(address: DevnetAddress): Promise<Devnet> {
  return await attach(address, () => Promise.resolve())
}

async function attach(address: DevnetAddress, end: () => Promise<void>): Promise<Devnet> {
  const { rpcUrl } = address
  const provider = new DevnetProvider(rpcUrl, LOCAL_CHAIN_ID)
  const wallets = devWallets(provider, WALLETS) as Devnet['wallets']
  const [deployer] = wallets
  const deployment = address.deployment ?? (await deployAll(rpcUrl, deployer))
  const contracts = connect(deployment, deployer)
  const send = async (method: string, params: readonly unknown[]): Promise<unknown> =>
    (await provider.send(method, [...params])) as unknown

  return {
    rpcUrl,
    chainId: LOCAL_CHAIN_ID,
    deployment,
    provider,
    wallets,
    contracts,
    mint: async (to, amount) => {
      await (await contracts.token.mint(to, amount)).wait(1, MINT_TIMEOUT_MS)
    },
    increaseTime: async (seconds) => {
      await send('evm_increaseTime', [seconds])
      await send('evm_mine', [])
    },
    now: async () => (await provider.getBlock('latest'))?.timestamp ?? 0,
    mine: async (blocks = 1) => {
      await send('anvil_mine', [toQuantity(blocks)])
    },
    setAutomine: async (on) => {
      await send('evm_setAutomine', [on])
    },
    snapshot: async () => String(await send('evm_snapshot', [])),
    revert: async (id) => {
      if ((await send('evm_revert', [id])) !== true) throw new SnapshotUnknownError(id)
    },
    reorg: async (depth) => {
      await send('anvil_reorg', [depth, []])
    },
    stop: async () => {
      provider.destroy()
      await end()
    },
  }
}

async function deployAll(rpcUrl: string, deployer: Wallet): Promise<Deployment> {
  const owner = deployer.address as `0x${string}`
  const parameters = { owner, networkRecipient: owner, networkBps: 500 }
  const { deployment } = await deployContracts({ rpc: httpRpc(rpcUrl), wallet: deployer, parameters })
  return deployment
}

function connect(deployment: Deployment, runner: ContractRunner): DevnetContracts {
  return {
    escrow: InferenceEscrow__factory.connect(deployment.escrow, runner),
    token: DevOPG__factory.connect(deployment.token, runner),
    permit2: new Contract(deployment.permit2, permit2Abi, runner),
    feePolicy: FeePolicy__factory.connect(deployment.feePolicy, runner),
    modelRegistry: ModelRegistry__factory.connect(deployment.modelRegistry, runner),
    // A local chain has all of them.
    teeRegistry: DevTEERegistry__factory.connect(deployment.teeRegistry ?? ZeroAddress, runner),
    keyReceiptVerifier: KeyReceiptVerifier__factory.connect(deployment.keyReceiptVerifier, runner),
    voucherReceiptVerifier: VoucherReceiptVerifier__factory.connect(deployment.voucherReceiptVerifier, runner),
    quorumReceiptVerifier: QuorumReceiptVerifier__factory.connect(deployment.quorumReceiptVerifier, runner),
    gatewayReceiptVerifier: GatewayReceiptVerifier__factory.connect(
      deployment.gatewayReceiptVerifier ?? ZeroAddress,
      runner,
    ),
    teeReceiptVerifier: TeeReceiptVerifier__factory.connect(deployment.teeReceiptVerifier ?? ZeroAddress, runner),
    uptoAdapter: UptoAdapter__factory.connect(deployment.uptoAdapter ?? ZeroAddress, runner),
  }
}
