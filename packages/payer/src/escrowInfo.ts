import { InferenceEscrow__factory } from '@opg/bindings'
import type { Provider } from 'ethers'
import { type Address, type EscrowContext, parseAddress } from '@opg/protocol'
import { askChain, askContract } from './chain.js'

/** An escrow as work orders need it. `chainId` is the live one. */
export interface EscrowInfo extends EscrowContext {
  /** Part of every order id (F18). */
  readonly deploymentChainId: bigint
  /** OPG. */
  readonly token: Address
}

/**
 * Reads what the SDK must know of an escrow.
 *
 * @throws {ContractNotFoundError} if there is no such escrow on the provider's chain
 * @throws {ChainUnavailableError}
 */
export async function readEscrow(provider: Provider, escrow: Address): Promise<EscrowInfo> {
  const address = parseAddress(escrow, 'escrow')
  const contract = InferenceEscrow__factory.connect(address, provider)
  const { chainId } = await askChain('name its chain', () => provider.getNetwork())
  const [deploymentChainId, token] = await askContract(
    provider,
    { field: 'escrow', address, action: 'read the escrow' },
    () => Promise.all([contract.deploymentChainId(), contract.TOKEN()]),
  )
  return { chainId, escrow: address, deploymentChainId, token: parseAddress(token, 'token') }
}
