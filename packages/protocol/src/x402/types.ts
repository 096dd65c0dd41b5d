import type {
  Address,
  Hex,
  InferenceRequest,
  Order,
  Settlement,
  SignedReceipt,
  SignedVoucher,
  Terms,
} from '../types.js'

/** What a seller offers for stock `upto` payments: the terms of every order, and how long it has to claim. */
export interface Offer {
  readonly terms: Terms
  /** uint32, seconds: an order's `claimBy` is the payer's signed deadline plus this. */
  readonly claimWindow: number
}

/**
 * `extra` of the `upto` requirements that we publish. `payTo` is the escrow and `facilitatorAddress` the offer's desk, so
 * that a stock client signs the whole offer with the two addresses. Nothing in it depends on the time, since a stock
 * server compares it with what the client sends back.
 */
export interface UptoExtra {
  readonly assetTransferMethod: 'permit2'
  readonly paymentFlow: 'escrow'
  /** The desk. */
  readonly facilitatorAddress: Address
  /** The `UptoAdapter` that the desk belongs to. */
  readonly adapter: Address
  readonly offer: Offer
  /** EIP-712 name and version of the token, for clients that approve by EIP-2612. */
  readonly name?: string
  readonly version?: string
}

/** What a stock `upto` client signs (x402 2.27, `permit2Authorization`), less its strings. */
export interface UptoAuthorization {
  /** The payer. */
  readonly from: Address
  readonly token: Address
  /** uint96, base units. */
  readonly amount: bigint
  /** The upto proxy. */
  readonly spender: Address
  /** uint256 */
  readonly nonce: bigint
  /** uint256, Unix seconds. */
  readonly deadline: bigint
  /** The escrow. */
  readonly to: Address
  /** The offer's desk. */
  readonly facilitator: Address
  /** uint256, Unix seconds. */
  readonly validAfter: bigint
}

/** Scheme payload of a stock `upto` client. */
export interface UptoPayment {
  readonly authorization: UptoAuthorization
  readonly signature: Hex
}

/**
 * Member `opg` of a scheme payload on its way from a seller to a facilitator. x402 has no place for the phase of a
 * settlement, and the client must not choose it: sellers and facilitators refuse a payload in which it came from outside.
 */
export type SellerStep = LockStep | CaptureStep

/** Before the handler: lock the money. */
export interface LockStep {
  readonly phase: 'lock'
  /** bytes32, random: an order is locked for one attempt. The same attempt may ask again, another is refused. */
  readonly attempt: Hex
  /** The node's signature over the EIP-712 `LockAttempt(bytes32 orderId,bytes32 attempt)` in the escrow's domain. */
  readonly signature: Hex
}

/** What a node signs to lock an order for one attempt of its own. */
export interface LockAttempt {
  /** bytes32 */
  readonly orderId: Hex
  /** bytes32 */
  readonly attempt: Hex
}

/** After the handler: take the fee by evidence, return the rest. A fee of zero releases the whole order. */
export interface CaptureStep {
  readonly phase: 'capture'
  /** Closes. */
  readonly settlement: Settlement
  /** What the order's verifier takes for a `SettlementBatch` of this one settlement. */
  readonly evidence: Hex
}

/** `extra` of `work-order` requirements. `amount` is the most that the request can cost; `payTo` is the escrow. */
export interface WorkOrderExtra {
  /** The terms that an order must have. */
  readonly terms: Terms
  /** The chain's id when the escrow was deployed, which order ids use. uint48. */
  readonly deploymentChainId: number
  /** uint96, base units: smaller orders are refused. */
  readonly minAmount: bigint
  /** uint32: an order whose `claimBy` is nearer is refused. */
  readonly minSecondsToClaimBy: number
  /** Whether each request must bring a voucher. */
  readonly vouchers: boolean
}

/**
 * Scheme payload of `work-order`: one request under an order. It is complete by itself, so any process that serves the
 * node's key can take it; `permit` is there until the order is open.
 */
export interface WorkOrderPayment {
  readonly terms: Terms
  readonly order: Order
  /** The payer's Permit2 signature, for whoever is to open the order. */
  readonly permit?: WorkOrderPermitSignature | undefined
  readonly request: InferenceRequest
  /** The requester's, of `request`. */
  readonly signature: Hex
  readonly voucher?: SignedVoucher | undefined
}

export interface WorkOrderPermitSignature {
  /** uint256, Unix seconds. */
  readonly deadline: bigint
  readonly signature: Hex
}

/** What we add to a settle response, under `extra.opg`. */
export interface SettledExtra {
  readonly orderId: Hex
  /** `queued`: durable at the facilitator, and on its way to the chain. */
  readonly state: 'locked' | 'queued' | 'captured' | 'released'
  readonly receipt?: SignedReceipt | undefined
}
