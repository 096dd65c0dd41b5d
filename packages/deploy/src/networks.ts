import { CHAIN_IDS, OPENGRADIENT_NATIVE_TOKEN, OPG_TOKENS, TEE_REGISTRY } from '@opg/protocol'

type Address = `0x${string}`

/** A chain that can be deployed to. */
export interface Network {
  readonly name: string
  /** OpenGradient's papers name two ids for its testnet: the one that the chain answers is the one recorded. */
  readonly chainIds: readonly number[]
  readonly rpcUrlVariable: string
  readonly defaultRpcUrl: string
  /** Undefined on a local chain, which gets development contracts in their place. */
  readonly external?: {
    readonly token: Address
    /** Null where no registry of TEE keys is known. */
    readonly teeRegistry: Address | null
  }
}

/** The id of every local chain. Development contracts go nowhere else. */
export const LOCAL_CHAIN_ID = Number(CHAIN_IDS.local)

/** By the name that `--network` takes. */
export const NETWORKS: readonly Network[] = [
  {
    name: 'opengradientTestnet',
    chainIds: [Number(CHAIN_IDS.opengradientTestnet), 10_744],
    rpcUrlVariable: 'OPENGRADIENT_TESTNET_RPC_URL',
    defaultRpcUrl: 'https://ogevmdevnet.opengradient.ai',
    external: { token: OPENGRADIENT_NATIVE_TOKEN, teeRegistry: TEE_REGISTRY },
  },
  {
    name: 'base',
    chainIds: [Number(CHAIN_IDS.base)],
    rpcUrlVariable: 'BASE_RPC_URL',
    defaultRpcUrl: 'https://mainnet.base.org',
    external: { token: OPG_TOKENS.base, teeRegistry: null },
  },
  {
    name: 'baseSepolia',
    chainIds: [Number(CHAIN_IDS.baseSepolia)],
    rpcUrlVariable: 'BASE_SEPOLIA_RPC_URL',
    defaultRpcUrl: 'https://sepolia.base.org',
    external: { token: OPG_TOKENS.baseSepolia, teeRegistry: null },
  },
  {
    name: 'localhost',
    chainIds: [LOCAL_CHAIN_ID],
    rpcUrlVariable: 'LOCAL_RPC_URL',
    defaultRpcUrl: 'http://127.0.0.1:8545',
  },
]
