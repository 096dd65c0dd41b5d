import { InferenceEscrow__factory } from '@opg/bindings'
import type { Provider } from 'ethers'
import type { Hex } from '@opg/protocol'
import { askChain, askContract } from './chain.js'
import { orderIdOf } from './createWorkOrder.js'
import { ChainUnavailableError } from './errors.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkOrder, checkTerms } from './input.js'
import type { OrderWithTerms } from './reclaim.js'

/** An order as the chain has it at a block. Amounts are base units, times Unix seconds. */
export type OrderStatus =
  /** Not opened yet, or at another escrow, or under other terms. */
  | { readonly status: 'unknown'; readonly orderId: Hex; readonly block: number }
  | {
      /** `reclaimable`: `claimBy` has come by that block's time. */
      readonly status: 'open' | 'reclaimable'
      readonly orderId: Hex
      readonly block: number
      readonly amount: bigint
      /** Fees that evidence has released, of the order or its slices. */
      readonly released: bigint
      /** What is left in the escrow. */
      readonly held: bigint
      /** How much of it slices hold that are not settled; zero for a direct order. */
      readonly reserved: bigint
      readonly openedAt: number
      readonly reclaimableAt: number
      readonly networkBps: number
      readonly royaltyBps: number
    }
  | { readonly status: 'closed'; readonly orderId: Hex; readonly block: number; readonly amount: bigint }

/** Reads an order's state at the latest block. @throws {InvalidInputError} {@link ChainUnavailableError} */
export async function orderStatus(
  provider: Provider,
  options: OrderWithTerms & { readonly escrow: EscrowInfo },
): Promise<OrderStatus> {
  const { escrow } = options
  const order = checkOrder(options.order)
  const orderId = orderIdOf(escrow, { terms: checkTerms(options.terms), order })
  const block = await askChain('name its latest block', () => provider.getBlock('latest'))
  if (block === null) throw new ChainUnavailableError({ action: 'name its latest block', cause: 'it has none' })
  const contract = InferenceEscrow__factory.connect(escrow.escrow, provider)
  const view = await askContract(provider, { field: 'escrow', address: escrow.escrow, action: 'read an order' }, () =>
    contract.orders(orderId, { blockTag: block.number }),
  )
  const { amount, released, reserved, networkBps, royaltyBps, openedAt, closed } = view
  const at = { orderId, block: block.number }
  if (openedAt === 0n) return { status: 'unknown', ...at }
  if (closed) return { status: 'closed', ...at, amount }
  return {
    status: block.timestamp >= order.claimBy ? 'reclaimable' : 'open',
    ...at,
    amount,
    released,
    held: amount - released,
    reserved,
    openedAt: Number(openedAt),
    reclaimableAt: order.claimBy,
    networkBps: Number(networkBps),
    royaltyBps: Number(royaltyBps),
  }
}
