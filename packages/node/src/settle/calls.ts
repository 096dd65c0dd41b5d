import { InferenceEscrow__factory } from '@opg/bindings'
import { type Address, type Hex, type Settlement, combineSliceProofs } from '@opg/protocol'
import type { ReservedSlice } from '../store/reservedSlice.js'
import type { StoredOrder } from '../store/types.js'

const escrowInterface = InferenceEscrow__factory.createInterface()

/** An order with what is to be settled on it. */
export interface SettledOrder {
  readonly order: StoredOrder
  readonly settlement: Settlement
}

/** A slice with its one settlement, and the evidence of it. */
export interface SettledSlice extends SettledOrder {
  readonly slice: ReservedSlice
  readonly evidence: Hex
}

/** Calldata that settles orders of one `Terms`, with evidence; `withClaim` pays the node out in the same call. */
export function settleCall(
  rows: readonly [SettledOrder, ...SettledOrder[]],
  { evidence, withClaim }: { readonly evidence: Hex; readonly withClaim: boolean },
): Hex {
  const { terms } = rows[0].order
  const settleRows = rows.map(({ order, settlement: { orderId: _, ...settlement } }) => ({
    order: order.order,
    ...settlement,
  }))
  const calldata = withClaim
    ? escrowInterface.encodeFunctionData('settleWithClaim', [terms, settleRows, evidence])
    : escrowInterface.encodeFunctionData('settle', [terms, settleRows, evidence])
  return calldata as Hex
}

/** Calldata that settles slices of one allocation, for good. */
export function settleSlicesCall(
  slices: readonly [SettledSlice, ...SettledSlice[]],
  { gasPerSlice }: { readonly gasPerSlice: bigint },
): Hex {
  const [{ order, slice: first }] = slices
  const rising = [...slices].sort((a, b) => a.slice.slice.index - b.slice.slice.index)
  const rows = rising.map(({ slice: { slice }, settlement, evidence }) => ({
    ...slice,
    fee: settlement.cumulativeFee,
    receiptsRoot: settlement.receiptsRoot,
    receiptCount: settlement.receiptCount,
    evidence,
  }))
  const proof = combineSliceProofs(rising.map(({ slice }) => ({ index: slice.slice.index, proof: slice.proof })))
  const args = [order.terms, order.order, first.allocation, rows, proof, gasPerSlice] as const
  return escrowInterface.encodeFunctionData('settleSlices', [...args]) as Hex
}

/** How many slices a call of `settleSlices` settled, by what it returned. */
export function settledSlices(returned: Hex): number {
  return Number(escrowInterface.decodeFunctionResult('settleSlices', returned)[0])
}

/** Calldata that pays `account`'s credit out. */
export function claimCall(account: Address): Hex {
  return escrowInterface.encodeFunctionData('claim', [account]) as Hex
}

/** Calldata that gives an order back to its payer, without evidence. */
export function releaseCall({ terms, order }: Pick<StoredOrder, 'terms' | 'order'>): Hex {
  return escrowInterface.encodeFunctionData('release', [terms, order]) as Hex
}
