import { parseAddress, parseObject, parseSmallUint, type Reader } from './codec.js'
import type { Address } from './types.js'

/** Where the contracts of one chain are. A manifest `deployments/<chainId>.json` holds exactly this. */
export interface Deployment {
  readonly chainId: number
  /** The block of the escrow's deployment or an earlier one: events are read from here. */
  readonly deployedAtBlock: number
  readonly token: Address
  readonly permit2: Address
  readonly feePolicy: Address
  readonly modelRegistry: Address
  readonly escrow: Address
  /** The escrow itself, which is a `KeyReceiptVerifier` too: one cold account less to pay for. */
  readonly keyReceiptVerifier: Address
  readonly voucherReceiptVerifier: Address
  readonly quorumReceiptVerifier: Address
  /** This and the next two: null where the chain has no registry of TEE keys. */
  readonly gatewayReceiptVerifier: Address | null
  readonly teeReceiptVerifier: Address | null
  readonly teeRegistry: Address | null
  /** Null where the chain has no x402 upto proxy. */
  readonly uptoAdapter: Address | null
}

const addressOrNull: Reader<Address | null> = (value, field) => (value === null ? null : parseAddress(value, field))

/** Reads a manifest from its JSON. @throws {InvalidInputError} naming the member */
export const parseDeployment: Reader<Deployment> = parseObject<Deployment>({
  chainId: parseSmallUint(48),
  deployedAtBlock: parseSmallUint(48),
  token: parseAddress,
  permit2: parseAddress,
  feePolicy: parseAddress,
  modelRegistry: parseAddress,
  escrow: parseAddress,
  keyReceiptVerifier: parseAddress,
  voucherReceiptVerifier: parseAddress,
  quorumReceiptVerifier: parseAddress,
  gatewayReceiptVerifier: addressOrNull,
  teeReceiptVerifier: addressOrNull,
  teeRegistry: addressOrNull,
  uptoAdapter: addressOrNull,
})
