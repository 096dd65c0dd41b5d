import {
  type Address,
  type Allocation,
  type Hex,
  InvalidInputError,
  type SliceHolder,
  type TypedData,
  ZERO_ADDRESS,
  allocationId,
  createAllocation,
  parseAddress,
  parseBytes32,
  sliceId,
  sliceProof,
  typedData,
} from '@opg/protocol'
import { orderIdOf } from './createWorkOrder.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkList, checkOrder, checkTerms, checkUint } from './input.js'
import type { OrderWithTerms } from './reclaim.js'
import { type SliceGrant, checkHolder } from './tab.js'

export interface AllocationInput extends OrderWithTerms {
  readonly escrow: EscrowInfo
  /** Whose slices they are, 1 to 255 of them. The same node may have several. */
  readonly holders: readonly SliceHolder[]
  /** Base units that each slice holds for its node. */
  readonly cap: bigint
  /** Any number that tells this allocation from an equal one of the same order; at most 64 bits. */
  readonly series: bigint
}

/** A slice of a prepared allocation. Its node takes `admissionOf({ terms, order, slice: grant })`. */
export interface RoutedSlice {
  /** What stands for the slice wherever an order's id would stand. */
  readonly sliceId: Hex
  readonly grant: SliceGrant
}

/** An allocation that is ready to be reserved by the facilitator, or signed by it for somebody else to relay. */
export interface PreparedAllocation extends OrderWithTerms {
  readonly orderId: Hex
  readonly allocation: Allocation
  readonly allocationId: Hex
  /** By index. */
  readonly holders: readonly SliceHolder[]
  /** By index. */
  readonly slices: readonly RoutedSlice[]
  /** What the facilitator's wallet shows and signs. */
  readonly typedData: TypedData
}

/**
 * Divides a routed order, or part of it, among nodes: one slice of `cap` for each holder. Whether the order still has as
 * much free is for the chain to say; that it never could is refused here.
 *
 * @throws {InvalidInputError} naming the member that is wrong
 */
export function prepareAllocation(input: AllocationInput): PreparedAllocation {
  const { escrow } = input
  const { terms, order } = checkRouted(input)
  const cap = checkUint(input.cap, { field: 'cap', bits: 96, min: 1n })
  const series = checkUint(input.series, { field: 'series', bits: 64 })
  const about = { escrow: escrow.escrow, pinnedKey: terms.evidenceKey }
  const holders = checkList(input.holders, { field: 'holders', min: 1 }).map((holder, i) => {
    const field = `holders[${String(i)}]`
    const node = parseAddress(holder.node, `${field}.node`)
    const evidenceKey = parseBytes32(holder.evidenceKey, `${field}.evidenceKey`)
    return checkHolder({ node, evidenceKey }, { field, ...about })
  })
  const { allocation, slices } = createAllocation({ holders, cap, series })
  const sum = BigInt(holders.length) * cap
  if (sum > order.amount) {
    const expected = `at most ${String(order.amount / BigInt(holders.length))}, so that all slices fit in the order`
    throw new InvalidInputError({ field: 'cap', expected, value: cap })
  }
  const orderId = orderIdOf(escrow, { terms, order })
  const id = allocationId(orderId, allocation)
  return {
    terms,
    order,
    orderId,
    allocation,
    allocationId: id,
    holders,
    slices: slices.map((slice) => ({
      sliceId: sliceId(id, slice.index),
      grant: { allocation, slice, proof: sliceProof(holders, [slice.index]) },
    })),
    typedData: typedData(escrow, { name: 'Allocation', value: { orderId, ...allocation } }),
  }
}

/** Checks a routed order from a caller. @throws {InvalidInputError} */
export function checkRouted(input: OrderWithTerms): OrderWithTerms & { readonly facilitator: Address } {
  const terms = checkTerms(input.terms)
  const order = checkOrder(input.order)
  if (terms.node !== ZERO_ADDRESS) {
    const expected = 'zero, as only a routed order has slices'
    throw new InvalidInputError({ field: 'terms.node', expected, value: terms.node })
  }
  return { terms, order, facilitator: terms.facilitator }
}
