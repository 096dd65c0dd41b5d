import type { Network } from '@x402/core/types'
import type { Address, Hex, Offer, UptoExtra } from '@opg/protocol'

/** What a seller offers on one chain; nothing of it changes. */
export interface Offered {
  /** The chain's name in x402, CAIP-2. */
  readonly network: Network
  /** The live chain id, which signatures are made under. */
  readonly chainId: bigint
  readonly escrow: Address
  readonly token: Address
  /** See `orderSeed`. */
  readonly seed: Hex
  /** The escrow's EIP-712 domain separator. */
  readonly separator: Hex
  readonly offer: Offer
  readonly extra: UptoExtra
}
