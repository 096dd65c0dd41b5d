import { type Allocation, type Hex, type Order, type Slice, type Terms } from '@opg/protocol'
import { parseAllocation, parseObject, parseOrder, parseSlice, parseTerms } from '@opg/protocol'
import { parseSliceProof } from '../store/reservedSlice.js'

/** What is handed in: an order that names this node, or a slice that a routed order reserved for it. */
export interface OrderInput {
  readonly terms: Terms
  readonly order: Order
  readonly slice?: {
    readonly allocation: Allocation
    readonly slice: Slice
    /** Of `sliceProof(holders, [slice.index])`. */
    readonly proof: readonly Hex[]
  }
}

const direct = parseObject<Omit<OrderInput, 'slice'>>({ terms: parseTerms, order: parseOrder })
const routed = parseObject<Required<OrderInput>>({
  terms: parseTerms,
  order: parseOrder,
  slice: parseObject({ allocation: parseAllocation, slice: parseSlice, proof: parseSliceProof }),
})

/** Reads `{ terms, order }`, or `{ terms, order, slice: { allocation, slice, proof } }`. @throws {InvalidInputError} */
export function parseOrderInput(value: unknown): OrderInput {
  const isRouted = typeof value === 'object' && value !== null && Object.hasOwn(value, 'slice')
  return isRouted ? routed(value, '') : direct(value, '')
}
