import { InferenceEscrow__factory } from '@opg/bindings'
import { type Address, type Hex, type Settlement, structDigest } from '@opg/protocol'
import type { AcceptedVerifier } from '../receipts/acceptedVerifier.js'
import type { StoredOrder } from '../store/types.js'

const escrowInterface = InferenceEscrow__factory.createInterface()

/** Calldata that settles orders of one `Terms`, with evidence; `withClaim` pays the node out in the same call. */
export function settleCall(input: {
  readonly orders: readonly StoredOrder[]
  readonly settlements: readonly Settlement[]
  readonly verifier: AcceptedVerifier
  readonly separator: Hex
  readonly withClaim: boolean
}): Hex {
  const { orders, settlements, verifier, separator, withClaim } = input
  const rows = settlements.flatMap(({ orderId, ...settlement }) => {
    const order = orders.find((candidate) => candidate.orderId === orderId)
    return order === undefined ? [] : [{ order: order.order, terms: order.terms, settlement }]
  })
  const terms = rows[0]?.terms
  if (terms === undefined) return '0x'
  const { node, evidenceKey } = terms
  const digest = structDigest(separator, { name: 'SettlementBatch', value: { node, evidenceKey, settlements } })
  const evidence = verifier.encodeEvidence(verifier.signer.signDigest(digest))
  const settleRows = rows.map(({ order, settlement }) => ({ order, ...settlement }))
  const calldata = withClaim
    ? escrowInterface.encodeFunctionData('settleWithClaim', [terms, settleRows, evidence])
    : escrowInterface.encodeFunctionData('settle', [terms, settleRows, evidence])
  return calldata as Hex
}

/** Calldata that pays `account`'s credit out. */
export function claimCall(account: Address): Hex {
  return escrowInterface.encodeFunctionData('claim', [account]) as Hex
}

/** Calldata that gives an order back to its payer, without evidence. */
export function releaseCall({ terms, order }: Pick<StoredOrder, 'terms' | 'order'>): Hex {
  return escrowInterface.encodeFunctionData('release', [terms, order]) as Hex
}
