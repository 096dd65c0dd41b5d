import type { Address, Hex } from '@opg/protocol'

/** The escrow that a facilitator works for, and what never changes of it. */
export interface Deployed {
  /** The live chain id, which signatures are made under. */
  readonly chainId: bigint
  /** The chain id at the escrow's deployment, which order ids are made from (F18). */
  readonly deploymentChainId: bigint
  readonly escrow: Address
  readonly token: Address
  /** The escrow's EIP-712 domain separator. */
  readonly separator: Hex
  /** See `orderSeed`. */
  readonly seed: Hex
  /** Undefined where the chain has no upto proxy: `upto` is not offered there. */
  readonly upto: { readonly adapter: Address; readonly deskInitCodeHash: Hex } | undefined
}

/** The chain's name in x402, CAIP-2. */
export function networkOf({ chainId }: Pick<Deployed, 'chainId'>): string {
  return `eip155:${chainId.toString()}`
}
