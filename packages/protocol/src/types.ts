/** Bytes as lower- or mixed-case hexadecimal digits after `0x`, an even number of them. */
export type Hex = `0x${string}`

/** Twenty bytes. Everything here that returns one returns it with its EIP-55 checksum, so `===` compares. */
export type Address = `0x${string}`

/** What orders of one kind share. Signed by the payer inside a `WorkOrder`; a header of batches. */
export interface Terms {
  /** Who computes and is paid. */
  readonly node: Address
  /** Who relays the opening and earns `facilitatorBps`; zero for none. */
  readonly facilitator: Address
  /** uint16. The facilitator's share of each fee, in basis points. */
  readonly facilitatorBps: number
  /** The `IReceiptVerifier` that judges evidence. */
  readonly verifier: Address
  /** bytes32. Whose evidence counts; its meaning belongs to the verifier. */
  readonly evidenceKey: Hex
  /** bytes32. See `modelId`. */
  readonly modelId: Hex
}

/** What the order buys. */
export interface Job {
  /** Key that signs single requests: the payer itself, or a session key. */
  readonly requester: Address
  /** bytes32. Zero: a session of many requests. Otherwise the hash of the one request that is paid for. */
  readonly requestHash: Hex
}

/** The witness of the payer's Permit2 message. */
export interface WorkOrder {
  readonly terms: Terms
  readonly job: Job
  /** uint40, Unix seconds. Before it evidence settles, from it on anyone returns the rest to the payer. */
  readonly claimBy: number
}

/** An order, less its `Terms`: with them it is everything that the order id commits to. */
export interface Order {
  /** Who signs, and who gets the unspent rest. */
  readonly payer: Address
  /** uint256. Permit2's unordered nonce. */
  readonly nonce: bigint
  /** uint96. OPG base units to lock. */
  readonly amount: bigint
  readonly job: Job
  /** uint40, Unix seconds. */
  readonly claimBy: number
}

/** An order with the payer's Permit2 signature. */
export interface SignedOrder {
  readonly order: Order
  /** uint256, Unix seconds after which Permit2 refuses the signature. */
  readonly deadline: bigint
  /** ECDSA (64 or 65 bytes) or whatever the payer's ERC-1271 wallet takes. */
  readonly signature: Hex
}

/** One request under an order, signed by the order's requester. */
export interface InferenceRequest {
  /** bytes32 */
  readonly orderId: Hex
  readonly node: Address
  /** uint64. The requester's own number for the request; a retry keeps it. */
  readonly index: bigint
  /** bytes32. See `requestHash`. */
  readonly requestHash: Hex
  /** uint96, base units. */
  readonly maxFee: bigint
  /** uint40, Unix seconds. */
  readonly expiresAt: number
}

/** What the node says it did and what it asks for it, signed by the evidence key. */
export interface InferenceReceipt {
  /** bytes32 */
  readonly orderId: Hex
  readonly node: Address
  /** uint64. Without gaps from 0. */
  readonly seq: bigint
  /** bytes32. See `requestId`. */
  readonly requestId: Hex
  /** bytes32. See `responseHash`. */
  readonly responseHash: Hex
  /** uint96, base units. */
  readonly fee: bigint
  /** uint96, base units: the fee of the receipt before plus `fee`. */
  readonly cumulativeFee: bigint
  /** uint40, Unix seconds. */
  readonly timestamp: number
}

/** What evidence says of one order. */
export interface Settlement {
  /** bytes32 */
  readonly orderId: Hex
  /** uint96. Total of all fees of the order so far, in base units. */
  readonly cumulativeFee: bigint
  /** bytes32. Root of the order's receipt tree. */
  readonly receiptsRoot: Hex
  /** uint64. Leaves of that tree. */
  readonly receiptCount: bigint
  /** Returns the rest to the payer in the same call. */
  readonly close: boolean
}

/** What the evidence key signs: settlements of one node. */
export interface SettlementBatch {
  readonly node: Address
  /** bytes32 */
  readonly evidenceKey: Hex
  readonly settlements: readonly Settlement[]
}

/** One order in `settle`: the order itself and what is to be settled on it. */
export interface SettleRow {
  readonly order: Order
  /** uint96, base units. */
  readonly cumulativeFee: bigint
  /** bytes32 */
  readonly receiptsRoot: Hex
  /** uint64 */
  readonly receiptCount: bigint
  readonly close: boolean
}

/** The requester's consent to a total. */
export interface Voucher {
  /** bytes32 */
  readonly orderId: Hex
  readonly node: Address
  /** uint96, base units. */
  readonly maxCumulativeFee: bigint
}

/** A voucher as it travels, with the requester's signature: ECDSA of 65 bytes, since no wallet is asked on chain. */
export interface SignedVoucher {
  readonly voucher: Voucher
  readonly signature: Hex
}

/** The payer's wish that the node drain and close the order. */
export interface CloseRequest {
  /** bytes32 */
  readonly orderId: Hex
  /** uint40, Unix seconds. */
  readonly expiresAt: number
}

/** A request as it travels, with the requester's signature (ECDSA, or whatever its ERC-1271 wallet takes). */
export interface SignedRequest {
  readonly request: InferenceRequest
  readonly signature: Hex
}

/** Which kind of key signed a receipt. `teeId` is the keccak256 of the enclave's SPKI DER key. */
export type ReceiptSigner = { readonly kind: 'ecdsa' } | { readonly kind: 'rsa-pss'; readonly teeId: Hex }

/**
 * A receipt with its signature. Both kinds sign the receipt's EIP-712 digest under the escrow's domain: ECDSA signs
 * it as a digest, RSA-PSS (SHA-256, MGF1-SHA-256, salt of 32) takes its 32 bytes as the message.
 */
export interface SignedReceipt {
  readonly receipt: InferenceReceipt
  readonly signature: Hex
  readonly signer: ReceiptSigner
}

/** Slices of a routed order that its facilitator reserves together. */
export interface Allocation {
  /** bytes32. Root of the tree whose leaves name each slice's node and key. See `createAllocation`. */
  readonly root: Hex
  /** uint8, at least 1. */
  readonly count: number
  /** uint96, base units: what each slice holds for its node. */
  readonly cap: bigint
  /** uint64. Any number that tells this allocation from an equal one of the same order. */
  readonly series: bigint
}

/** Whose slice it is. */
export interface SliceHolder {
  readonly node: Address
  /** bytes32. The key that proves the slice's settlement; the order's own, if the payer pinned one there. */
  readonly evidenceKey: Hex
}

/** A slice of an allocation. Its id stands wherever an order's would stand. */
export interface Slice extends SliceHolder {
  /** uint8. Place of its leaf. */
  readonly index: number
}

/** The one settlement of a slice, in `settleSlices`. */
export interface SliceRow extends Slice {
  /** uint96, base units, at most the allocation's cap. */
  readonly fee: bigint
  /** bytes32 */
  readonly receiptsRoot: Hex
  /** uint64 */
  readonly receiptCount: bigint
  /** What the order's verifier takes for a batch of this one settlement, with `close`. */
  readonly evidence: Hex
}

/** Where signatures of the escrow are valid: the chain's live id, and the escrow's address. */
export interface EscrowContext {
  readonly chainId: bigint
  readonly escrow: Address
}
