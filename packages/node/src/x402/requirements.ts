import type { PaymentRequirements } from '@x402/core/types'
import {
  deskAddress,
  toWire,
  type Address,
  type Hex,
  type Offer,
  type Terms,
  type UptoExtra,
  type WorkOrderExtra,
} from '@opg/protocol'
import type { ApprovalDomain } from '../chain/approvalDomain.js'

/** How a node sells over x402. Nothing in it changes with the time: clients send back what is made of it. */
export interface Selling {
  /** The chain's live id. */
  readonly chainId: bigint
  /** uint48. The chain's id when the escrow was deployed. */
  readonly deploymentChainId: number
  readonly escrow: Address
  readonly token: Address
  /** What all its orders have in common. */
  readonly terms: Omit<Terms, 'modelId'>
  /** Whether the verifier of these terms asks for a voucher with each request. */
  readonly vouchers: boolean
  /** Base units: smaller orders are refused. */
  readonly minAmount: bigint
  /** An order whose `claimBy` is nearer is refused. */
  readonly minSecondsToClaimBy: number
  /** Where stock `upto` payments are taken. */
  readonly upto: UptoSelling | undefined
}

export interface UptoSelling {
  readonly adapter: Address
  /** keccak256 of the desks' creation code. */
  readonly initCodeHash: Hex
  /** uint32, seconds from a payer's signed deadline to `claimBy`. */
  readonly claimWindow: number
  /** By what payers may approve Permit2 by signature; undefined where the token has no such approvals. */
  readonly approval: ApprovalDomain | undefined
}

/** What is paid for: one request of a model. */
export interface Quote {
  readonly modelId: Hex
  /** The most that it can cost, in base units. */
  readonly maxFee: bigint
}

/** For so long a client's authorization is good, in seconds: time enough for the money to be locked. */
export const MAX_TIMEOUT_SECONDS = 300

/** What may be paid with, the scheme that costs less first. */
export function requirementsFor(selling: Selling, quote: Quote): readonly PaymentRequirements[] {
  const upto = uptoRequirements(selling, quote)
  return [workOrderRequirements(selling, quote), ...(upto === undefined ? [] : [upto])]
}

export function workOrderRequirements(selling: Selling, { modelId, maxFee }: Quote): PaymentRequirements {
  const extra: WorkOrderExtra = {
    terms: { ...selling.terms, modelId },
    deploymentChainId: selling.deploymentChainId,
    minAmount: selling.minAmount,
    minSecondsToClaimBy: selling.minSecondsToClaimBy,
    vouchers: selling.vouchers,
  }
  return { ...common(selling), scheme: 'work-order', amount: maxFee.toString(), extra: { ...toWire(extra) } }
}

/** Undefined where stock `upto` payments are not taken. */
export function uptoRequirements(selling: Selling, quote: Quote): PaymentRequirements | undefined {
  const sold = uptoOffer(selling, quote.modelId)
  if (sold === undefined) return undefined
  const extra: UptoExtra = {
    ...sold.approval,
    assetTransferMethod: 'permit2',
    paymentFlow: 'escrow',
    facilitatorAddress: sold.desk,
    adapter: sold.adapter,
    offer: sold.offer,
  }
  return {
    ...common(selling),
    scheme: 'upto',
    amount: uptoAmount(selling, quote).toString(),
    extra: { ...toWire(extra) },
  }
}

/** The offer for a model, and the desk that commits to it. */
export function uptoOffer(
  { terms, upto }: Selling,
  modelId: Hex,
): (Pick<UptoSelling, 'adapter' | 'approval'> & { readonly offer: Offer; readonly desk: Address }) | undefined {
  if (upto === undefined) return undefined
  const { adapter, initCodeHash, claimWindow, approval } = upto
  const offer = { terms: { ...terms, modelId }, claimWindow }
  return { offer, adapter, approval, desk: deskAddress({ adapter, initCodeHash, offer }) }
}

/** What an `upto` payment locks: the most that its request can cost, and no less than an order must hold. */
function uptoAmount({ minAmount }: Selling, { maxFee }: Quote): bigint {
  const least = minAmount > 1n ? minAmount : 1n // an order holds something
  return maxFee > least ? maxFee : least
}

function common({ chainId, token, escrow }: Selling): Omit<PaymentRequirements, 'scheme' | 'amount' | 'extra'> {
  return { network: networkOf(chainId), asset: token, payTo: escrow, maxTimeoutSeconds: MAX_TIMEOUT_SECONDS }
}

/** CAIP-2. */
export function networkOf(chainId: bigint): `eip155:${string}` {
  return `eip155:${chainId.toString()}`
}
