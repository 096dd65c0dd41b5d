import { BPS, type Address, type Hex, ZERO_ADDRESS, ZERO_BYTES32, verifySliceProof } from '@opg/protocol'
import type { AcceptedVerifier } from '../receipts/acceptedVerifier.js'
import { verifierFor } from '../receipts/acceptedVerifier.js'
import type { Refusal } from '../service/types.js'
import { amountOf, evidenceKeyOf, pinnedHash } from '../store/reservedSlice.js'
import type { OrderInput } from './orderInput.js'
import { refuse } from './refusal.js'

/** Which orders this node works for (F2). */
export interface GatePolicy {
  readonly node: Address
  readonly verifiers: readonly AcceptedVerifier[]
  /** bytes32 each: the models that are served here. */
  readonly modelIds: readonly Hex[]
  /** The least that must remain of each fee after network, royalty and facilitator, in basis points. */
  readonly minNetNodeBps: number
  /** The least time that must remain to `claimBy` when a request starts: it has to run and to be settled in it. */
  readonly minSecondsToClaimBy: number
  /** The smallest order that is worth settling, in base units. */
  readonly minAmount: bigint
  /** After so long the chain is asked about an order again before it gets more work. */
  readonly refreshAfterMs: number
}

/** What the terms and the order say by themselves; undefined where they fit. */
export function refusalByTerms(
  policy: GatePolicy,
  { input, nowSeconds }: { readonly input: OrderInput; readonly nowSeconds: number },
): Refusal | undefined {
  const { terms, order } = input
  const misplaced = refusalByNode(policy, input)
  if (misplaced !== undefined) return misplaced
  if (!policy.modelIds.includes(terms.modelId)) {
    return refuse('wrong-model', `The order is for model ${terms.modelId}, which is not served here.`)
  }
  if (!policy.verifiers.some(({ address }) => address === terms.verifier)) {
    return refuse(
      'wrong-verifier',
      `The order names verifier ${terms.verifier}; this node accepts ${listOf(policy.verifiers.map((v) => v.address))}.`,
    )
  }
  const evidenceKey = evidenceKeyOf(input)
  const verifier = verifierFor(policy.verifiers, { verifier: terms.verifier, evidenceKey })
  if (verifier === undefined) {
    const keys = policy.verifiers.filter((v) => v.address === terms.verifier).flatMap((v) => v.evidenceKeys)
    return refuse(
      'wrong-evidence-key',
      `The order's evidenceKey is ${evidenceKey}; with this verifier the node signs as ${listOf(keys)}.`,
    )
  }
  // The escrow opens no routed order that pins a request, so this refuses slices, too.
  if (verifier.gateway !== undefined && pinnedHash(order) === undefined) {
    return refuse(
      'order-not-single',
      'With this verifier an order pays for one request: it names the node, and its job names the requestHash.',
    )
  }
  const amount = amountOf(input)
  if (amount < policy.minAmount) {
    return refuse(
      'amount-too-low',
      `The order locks ${amount.toString()} base units; this node asks for at least ${policy.minAmount.toString()}.`,
    )
  }
  return refusalByTime(policy, { claimBy: order.claimBy, nowSeconds })
}

/** Whether it is this node's: by the order's terms, or by a slice that is proved to be in its allocation. */
function refusalByNode({ node }: GatePolicy, { terms, slice: input }: OrderInput): Refusal | undefined {
  if (input === undefined) {
    if (terms.node === node) return undefined
    const routed = 'The order is routed over many nodes: hand in the slice of it that is reserved for this one.'
    const other = `The order names node ${terms.node}, and this is ${node}.`
    return refuse('wrong-node', terms.node === ZERO_ADDRESS ? routed : other)
  }
  const { slice } = input
  if (terms.node !== ZERO_ADDRESS) {
    return refuse('wrong-node', `The order names node ${terms.node}, so it has no slices.`)
  }
  if (slice.node !== node) return refuse('wrong-node', `The slice is for node ${slice.node}, and this is ${node}.`)
  if (terms.evidenceKey !== ZERO_BYTES32 && terms.evidenceKey !== slice.evidenceKey) {
    return refuse(
      'wrong-evidence-key',
      `The order pins evidenceKey ${terms.evidenceKey}, and the slice names ${slice.evidenceKey}: it could never be settled.`,
    )
  }
  if (verifySliceProof(input)) return undefined
  return refuse(
    'slice-not-proved',
    `The proof does not lead from slice ${String(slice.index)} to the allocation's root.`,
  )
}

/** Whether enough time is left to compute and to settle. */
export function refusalByTime(
  policy: GatePolicy,
  { claimBy, nowSeconds }: { readonly claimBy: number; readonly nowSeconds: number },
): Refusal | undefined {
  const left = claimBy - nowSeconds
  if (left >= policy.minSecondsToClaimBy) return undefined
  return refuse(
    'order-expires-too-soon',
    `The order can be claimed for ${String(Math.max(left, 0))} more seconds, and this node needs ${String(policy.minSecondsToClaimBy)}. Open a new order.`,
  )
}

/** The shares as the chain took them down when the order opened, and the facilitator's as signed. */
export function refusalByShares(
  policy: GatePolicy,
  shares: { readonly networkBps: number; readonly royaltyBps: number; readonly facilitatorBps: number },
): Refusal | undefined {
  const net = BPS - shares.networkBps - shares.royaltyBps - shares.facilitatorBps
  if (net >= policy.minNetNodeBps) return undefined
  return refuse(
    'share-too-low',
    `Of each fee ${String(net)} basis points would remain for the node, which asks for ${String(policy.minNetNodeBps)}.`,
  )
}

function listOf(values: readonly string[]): string {
  return values.length === 0 ? 'none' : values.join(', ')
}
