import {
  MAX_FACILITATOR_BPS,
  ZERO_ADDRESS,
  formatOpg,
  type Address,
  type Hex,
  type Order,
  type Terms,
} from '@opg/protocol'
import { invalid, type Invalid } from './reasons.js'

/** Which offers a facilitator serves. */
export interface OfferPolicy {
  /** The facilitator's own address: what its share is paid to. */
  readonly facilitator: Address
  /** Its least share of each fee, in basis points. */
  readonly minFacilitatorBps: number
  /** Nodes that are served; undefined serves all. */
  readonly nodes?: ReadonlySet<Address> | undefined
  /** `termsHash` of the terms that are served; undefined serves all. */
  readonly terms?: ReadonlySet<Hex> | undefined
  /** The least that an order may hold, in base units; undefined takes any. */
  readonly minAmount?: bigint | undefined
  /** So many seconds must be left of a payer's signed deadline: an opening takes time to be mined. */
  readonly deadlineMarginSeconds: number
  /** Whether first approvals (EIP-2612) are paid for. */
  readonly sponsorsApprovals: boolean
}

/** Why terms are not served here, if they are not. */
export function refusalByPolicy(
  policy: OfferPolicy,
  { terms, termsHash }: { readonly terms: Terms; readonly termsHash: Hex },
): Invalid | undefined {
  if (terms.node === ZERO_ADDRESS) {
    return invalid('offer_not_served', 'Orders that are routed over many nodes are opened by their own facilitator.')
  }
  if (terms.facilitator !== ZERO_ADDRESS && terms.facilitator !== policy.facilitator) {
    return invalid(
      'offer_not_served',
      `The terms name facilitator ${terms.facilitator}; this one is ${policy.facilitator}, and takes terms without one too.`,
    )
  }
  const most = terms.facilitator === ZERO_ADDRESS ? 0 : MAX_FACILITATOR_BPS
  if (terms.facilitatorBps > most) {
    return invalid(
      'offer_not_served',
      `The terms give the facilitator ${String(terms.facilitatorBps)} basis points, and ${String(most)} is the most that the escrow takes.`,
    )
  }
  if (terms.facilitatorBps < policy.minFacilitatorBps) {
    return invalid(
      'offer_not_served',
      `The terms give the facilitator ${String(terms.facilitatorBps)} basis points, and this one asks for ${String(policy.minFacilitatorBps)}.`,
    )
  }
  if (policy.nodes?.has(terms.node) === false) {
    return invalid('offer_not_served', `Node ${terms.node} is not on this facilitator's list.`)
  }
  if (policy.terms?.has(termsHash) === false) {
    return invalid('offer_not_served', `Terms ${termsHash} are not on this facilitator's list.`)
  }
  return undefined
}

/** Why an order is too small to be opened here, if it is. */
export function refusalByAmount({ minAmount = 0n }: OfferPolicy, { amount, payer }: Order): Invalid | undefined {
  if (amount >= minAmount) return undefined
  return invalid(
    'amount_too_small',
    `The order holds ${formatOpg(amount)} OPG, and this facilitator opens none below ${formatOpg(minAmount)}. Ask for more, or lock more.`,
    payer,
  )
}
