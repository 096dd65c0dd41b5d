import {
  type Address,
  type Allocation,
  type Hex,
  InvalidInputError,
  type Slice,
  type SliceHolder,
  type Wire,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  allocationId,
  parseAllocation,
  parseArray,
  parseBytes32,
  parseSlice,
  sliceId,
  toWire,
  verifySliceProof,
} from '@opg/protocol'
import { orderIdOf } from './createWorkOrder.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkOrder, checkTerms } from './input.js'
import type { OrderWithTerms } from './reclaim.js'

/** Deeper than any tree of 255 leaves. */
const MAX_PROOF = 8
const readProof = parseArray(parseBytes32, MAX_PROOF)

/** A slice of a routed order with what leads from it to the allocation that the facilitator reserved. */
export interface SliceGrant {
  readonly allocation: Allocation
  readonly slice: Slice
  /** `sliceProof` of this one slice. */
  readonly proof: readonly Hex[]
}

/** A direct order, or one slice of a routed one. */
export interface OrderOrSlice extends OrderWithTerms {
  /** Of a routed order only, and needed there. */
  readonly slice?: SliceGrant | undefined
}

/** What requests, receipts and settlements are about: a direct order, or a slice of a routed one. */
export interface Tab extends OrderOrSlice {
  /** The order's id, or the slice's. */
  readonly orderId: Hex
  /** Whose work it pays, and whose evidence counts. */
  readonly holder: SliceHolder
  /** Base units that it holds: the order's amount, or the slice's cap. */
  readonly amount: bigint
}

/**
 * Checks an order, or a slice of it, and says what requests on it are about.
 *
 * @throws {InvalidInputError} naming the member that is wrong
 */
export function tabOf(escrow: EscrowInfo, input: OrderOrSlice): Tab {
  const terms = checkTerms(input.terms)
  const order = checkOrder(input.order)
  const { node, evidenceKey } = terms
  const orderId = orderIdOf(escrow, { terms, order })
  if (node !== ZERO_ADDRESS) {
    if (input.slice !== undefined) {
      throw new InvalidInputError({
        field: 'slice',
        expected: 'absent, as the order names its node',
        value: input.slice,
      })
    }
    return { terms, order, orderId, holder: { node, evidenceKey }, amount: order.amount }
  }
  const slice = checkGrant(input.slice, { escrow: escrow.escrow, pinnedKey: evidenceKey })
  const id = sliceId(allocationId(orderId, slice.allocation), slice.slice.index)
  const holder = { node: slice.slice.node, evidenceKey: slice.slice.evidenceKey }
  return { terms, order, slice, orderId: id, holder, amount: slice.allocation.cap }
}

/** What a node takes at `POST /v1/orders`. */
export function admissionOf({ terms, order, slice }: OrderOrSlice): Wire<OrderOrSlice> {
  return toWire(slice === undefined ? { terms, order } : { terms, order, slice })
}

function checkGrant(
  grant: SliceGrant | undefined,
  { escrow, pinnedKey }: { readonly escrow: Address; readonly pinnedKey: Hex },
): SliceGrant {
  if (grant === undefined) {
    throw new InvalidInputError({ field: 'slice', expected: 'a slice, as the order names no node', value: grant })
  }
  const allocation = parseAllocation(toWire(grant.allocation), 'slice.allocation')
  const slice = checkHolder(parseSlice(toWire(grant.slice), 'slice.slice'), { field: 'slice.slice', escrow, pinnedKey })
  const proof = readProof(toWire(grant.proof), 'slice.proof')
  if (!verifySliceProof({ allocation, slice, proof })) {
    throw new InvalidInputError({
      field: 'slice.proof',
      expected: 'what leads from the slice to the root of its allocation',
      value: proof,
    })
  }
  return { allocation, slice, proof }
}

/** Refuses a holder that the escrow would pass over. @throws {InvalidInputError} */
export function checkHolder<T extends SliceHolder>(
  holder: T,
  { field, escrow, pinnedKey }: { readonly field: string; readonly escrow: Address; readonly pinnedKey: Hex },
): T {
  if (holder.node === ZERO_ADDRESS || holder.node === escrow) {
    const expected = 'the address of a node, neither zero nor the escrow'
    throw new InvalidInputError({ field: `${field}.node`, expected, value: holder.node })
  }
  if (pinnedKey !== ZERO_BYTES32 && holder.evidenceKey !== pinnedKey) {
    const expected = "the order's own key, which the payer pinned"
    throw new InvalidInputError({ field: `${field}.evidenceKey`, expected, value: holder.evidenceKey })
  }
  return holder
}
