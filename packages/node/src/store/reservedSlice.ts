import { type Allocation, type Hex, type Order, type Slice, type Terms, ZERO_BYTES32 } from '@opg/protocol'
import { parseAllocation, parseArray, parseBytes32, parseObject, parseSlice } from '@opg/protocol'

/** A slice of a routed order that was reserved for this node. Its id and its cap stand where an order's would. */
export interface ReservedSlice {
  /** Id of the routed order itself. */
  readonly routedId: Hex
  readonly allocationId: Hex
  readonly allocation: Allocation
  readonly slice: Slice
  /** Leads from the slice's leaf to the allocation's root. */
  readonly proof: readonly Hex[]
}

/** The deepest tree has 255 leaves. */
const MAX_PROOF_LENGTH = 8

export const parseSliceProof = parseArray(parseBytes32, MAX_PROOF_LENGTH)

/** Reads what the books hold. @throws {InvalidInputError} */
export const parseReservedSlice = parseObject<ReservedSlice>({
  routedId: parseBytes32,
  allocationId: parseBytes32,
  allocation: parseAllocation,
  slice: parseSlice,
  proof: parseSliceProof,
})

/** What it holds for the node, in base units. */
export function amountOf({
  order,
  slice,
}: {
  readonly order: Order
  readonly slice?: Pick<ReservedSlice, 'allocation'> | undefined
}): bigint {
  return slice === undefined ? order.amount : slice.allocation.cap
}

/** Whose evidence counts. */
export function evidenceKeyOf({
  terms,
  slice,
}: {
  readonly terms: Terms
  readonly slice?: Pick<ReservedSlice, 'slice'> | undefined
}): Hex {
  return slice === undefined ? terms.evidenceKey : slice.slice.evidenceKey
}

/** Whether it takes one settlement only, which closes it: a slice, or an order for one request. */
export function isSettledOnce({
  order,
  slice,
}: {
  readonly order: Order
  readonly slice?: ReservedSlice | undefined
}): boolean {
  return slice !== undefined || pinnedHash(order) !== undefined
}

/** Whether the order pays for one request only, and for which. */
export function pinnedHash(order: Order): Hex | undefined {
  return order.job.requestHash === ZERO_BYTES32 ? undefined : order.job.requestHash
}
