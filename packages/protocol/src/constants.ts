import type { Address, Hex } from './types.js'

/** Basis points of a whole. */
export const BPS = 10_000
/** Most that the validation network may ask. */
export const MAX_NETWORK_BPS = 1_000
/** Most that a model's owner may ask. */
export const MAX_ROYALTY_BPS = 2_000
/** Most that a facilitator may be promised. */
export const MAX_FACILITATOR_BPS = 2_000
/** How far in the future an order's `claimBy` may lie when it opens: 90 days. */
export const MAX_CLAIM_WINDOW_SECONDS = 90 * 24 * 60 * 60

/** Base units of an OPG are 10^-18. */
export const OPG_DECIMALS = 18
/** The largest amount that a field of 96 bits holds, in base units. */
export const MAX_UINT96 = 2n ** 96n - 1n

export const ZERO_ADDRESS: Address = '0x0000000000000000000000000000000000000000'
export const ZERO_BYTES32: Hex = '0x0000000000000000000000000000000000000000000000000000000000000000'

/**
 * Chain ids, as documentation and defaults only: software reads `eth_chainId` and never assumes. OpenGradient's own
 * papers name 10740 and, in one place, 10744.
 */
export const CHAIN_IDS = {
  opengradientTestnet: 10_740n,
  base: 8_453n,
  baseSepolia: 84_532n,
  local: 31_337n,
} as const

/** OPG as an ERC-20 with 18 decimals, where its address is known. */
export const OPG_TOKENS = {
  base: '0xFbC2051AE2265686a469421b2C5A2D5462FbF5eB',
  baseSepolia: '0x240b09731D96979f50B2C649C9CE10FcF9C7987F',
} as const satisfies Readonly<Record<string, Address>>

/** Where an ERC-20 view of OpenGradient's native coin may stand. Check that it has code before relying on it. */
export const OPENGRADIENT_NATIVE_TOKEN: Address = '0xEeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE'

/** OpenGradient's registry of TEE keys. */
export const TEE_REGISTRY: Address = '0x703cB174AEadB35D611858369B4b1111dC9Abda6'
/** OpenGradient's precompile that checks attestations and RSA-PSS signatures. */
export const TEE_PRECOMPILE: Address = '0x0000000000000000000000000000000000000900'

/** Canonical Permit2, at one address on every chain. */
export const PERMIT2: Address = '0x000000000022D473030F116dDEE9F6B43aC78BA3'
/** The deterministic CREATE2 deployer, at one address on every chain. */
export const DETERMINISTIC_DEPLOYER: Address = '0x4e59b44847b379578588920cA78FbF26c0B4956C'
/** With this salt the deployer puts Permit2 on its canonical address. */
export const PERMIT2_SALT: Hex = '0x0000000000000000000000000000000000000000d3af2663da51c10215000000'
