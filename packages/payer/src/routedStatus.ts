import { InferenceEscrow__factory } from '@opg/bindings'
import type { Provider } from 'ethers'
import { type Allocation, type Hex, allocationId, parseAllocation, toWire } from '@opg/protocol'
import { askContract } from './chain.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkList } from './input.js'
import { type OrderStatus, orderStatus } from './orderStatus.js'
import { checkRouted } from './prepareAllocation.js'
import type { OrderWithTerms } from './reclaim.js'

/** An allocation as the chain has it. */
export interface AllocationStatus {
  readonly allocationId: Hex
  /** False: it was not reserved, or in another order. */
  readonly isAllocated: boolean
  /** Indexes of the slices that are reserved and not settled. They hold nothing any more once the order is closed. */
  readonly unsettled: readonly number[]
}

/** A routed order as the chain has it at a block. */
export interface RoutedStatus {
  readonly order: OrderStatus
  /** Base units that can still be reserved; zero where the order is not open. */
  readonly free: bigint
  /** One for each allocation that was asked for, in its place. */
  readonly allocations: readonly AllocationStatus[]
}

/**
 * Reads a routed order and its allocations: what is reserved, what is free, which slices are not settled.
 *
 * @throws {InvalidInputError} {@link ChainUnavailableError} {@link ContractNotFoundError}
 */
export async function routedStatus(
  provider: Provider,
  options: OrderWithTerms & { readonly escrow: EscrowInfo; readonly allocations: readonly Allocation[] },
): Promise<RoutedStatus> {
  const { escrow } = options
  const { terms, order } = checkRouted(options)
  const allocations = checkList(options.allocations, { field: 'allocations', min: 0 }).map((allocation, i) =>
    parseAllocation(toWire(allocation), `allocations[${String(i)}]`),
  )
  const status = await orderStatus(provider, { escrow, terms, order })
  const contract = InferenceEscrow__factory.connect(escrow.escrow, provider)
  const read = await Promise.all(
    allocations.map(async (allocation): Promise<AllocationStatus> => {
      const id = allocationId(status.orderId, allocation)
      const { known, bitmap } = await askContract(
        provider,
        { field: 'escrow', address: escrow.escrow, action: 'read an allocation' },
        () => contract.unsettledSlices(id, { blockTag: status.block }),
      )
      const indexes = Array.from({ length: allocation.count }, (_, i) => i)
      return {
        allocationId: id,
        isAllocated: known,
        unsettled: indexes.filter((i) => ((bitmap >> BigInt(i)) & 1n) === 1n),
      }
    }),
  )
  const free = status.status === 'open' ? status.held - status.reserved : 0n
  return { order: status, free, allocations: read }
}
