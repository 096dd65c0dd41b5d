import type { Address, Hex, MerkleTree, Order, SignedReceipt, SignedVoucher, Terms } from '@opg/protocol'
import type { OutboxStore } from './outboxTypes.js'
import type { PaymentStore } from './paymentTypes.js'
import type { ReservedSlice } from './reservedSlice.js'

/** What the chain said of an order. */
export interface OrderSnapshot {
  /** `missing`: the chain does not know it (any more: a reorg took its opening). */
  readonly state: 'open' | 'closed' | 'missing'
  /** Base units. */
  readonly amount: bigint
  /** Base units. What a closed order says here means nothing. */
  readonly released: bigint
  readonly networkBps: number
  readonly royaltyBps: number
  /** The block that this was read at: what is older than a booking does not undo it. */
  readonly blockNumber: number
}

/**
 * Why nothing more is admitted to an order. `answered` and `failed`: the one request of a payment over x402 was, or
 * could not be.
 */
export type ClosingReason =
  'requested' | 'expiring' | 'exhausted' | 'single' | 'idle' | 'released' | 'answered' | 'failed'

/** An order, or a slice of a routed one, in the node's books. */
export interface StoredOrder {
  /** The slice's id, where it is one: it stands wherever an order's would. */
  readonly orderId: Hex
  readonly termsHash: Hex
  readonly terms: Terms
  readonly order: Order
  readonly slice: ReservedSlice | undefined
  /** The highest voucher that came with a request, where the verifier asks for vouchers. */
  readonly voucher: SignedVoucher | undefined
  readonly networkBps: number
  readonly royaltyBps: number
  /** What the chain said last. */
  readonly chain: 'open' | 'closed' | 'missing'
  /** Base units that the chain has released, as far as known; after the close, the final total. */
  readonly released: bigint
  /** Milliseconds; when the chain was asked last. */
  readonly checkedAtMs: number
  /** Set: nothing more is admitted. */
  readonly closing: ClosingReason | undefined
  /** Why the chain passed over this order for good, where it did. */
  readonly blocked: string | undefined
  /** Receipts so far; the next `seq`. */
  readonly receiptCount: bigint
  /** Base units. */
  readonly cumulativeFee: bigint
  readonly tree: MerkleTree
  /** Milliseconds; when the order was admitted, or its last receipt was signed. */
  readonly activeAtMs: number
  /** Milliseconds; since when there have been fees to settle. */
  readonly unsettledSinceMs: number | undefined
  /** Base units; sum of the live reservations. */
  readonly reserved: bigint
  readonly reservations: number
  /** A settlement or release of it is on its way to the chain. */
  readonly inFlight: boolean
}

/** A request that wants to run. */
export interface ReservationRequest {
  readonly orderId: Hex
  readonly index: bigint
  readonly requestId: Hex
  /** Base units. */
  readonly maxFee: bigint
  /** The requester's consent to a total, checked. Where given, it or one before it must cover this request too. */
  readonly voucher?: SignedVoucher | undefined
}

/** The right to run one request, and to bill at most `maxFee` for it. */
export interface Reservation extends ReservationRequest {
  /** Nobody else's: a commit needs the row that carries it. */
  readonly fence: Hex
}

/** An answer with its receipt, as it was stored. */
export interface StoredAnswer {
  readonly requestId: Hex
  readonly body: Uint8Array
  readonly contentType: string
  readonly signedReceipt: SignedReceipt
}

export type ReserveOutcome =
  | { readonly status: 'reserved'; readonly reservation: Reservation }
  /** The same request was answered before. */
  | { readonly status: 'answered'; readonly answer: StoredAnswer }
  /** The same request is running. */
  | { readonly status: 'in-progress' }
  /** Another request has this index, or the answer is no longer kept. */
  | { readonly status: 'conflict' }
  /** `free`: base units that are left for new requests. */
  | { readonly status: 'exhausted'; readonly free: bigint }
  /** `needed`: the total, in base units, that a voucher must allow for this request. */
  | { readonly status: 'voucher-too-low'; readonly needed: bigint }
  | { readonly status: 'closing'; readonly reason: ClosingReason }
  | { readonly status: 'not-open' }
  | { readonly status: 'unknown' }

/** Where a receipt stands in its order. */
export interface ReceiptPosition {
  readonly seq: bigint
  /** Base units. */
  readonly cumulativeFee: bigint
}

/** What a reservation becomes. */
export interface Commitment {
  /** Base units, at most the reserved `maxFee`. */
  readonly fee: bigint
  readonly body: Uint8Array
  readonly contentType: string
  /** Makes the receipt for its place and signs it. Called inside the transaction, so it waits for nothing. */
  readonly sign: (position: ReceiptPosition) => { readonly signedReceipt: SignedReceipt; readonly leaf: Hex }
}

export interface OrderFilter {
  /** Only orders that can still move: not closed on chain, or in flight. */
  readonly live?: boolean
}

/**
 * The durable books of one node key, shared by all of its processes (F20). Every method is one transaction; a promise
 * resolves once it is durable. Amounts are base units.
 */
export interface NodeStore extends OutboxStore, PaymentStore {
  /** 32 random bytes that name these books: the same for all who share them, and for no others. */
  readonly booksId: Hex
  /** Remembers an order, or brings what the chain said of it up to date. */
  putOrder(input: {
    readonly orderId: Hex
    readonly termsHash: Hex
    readonly terms: Terms
    readonly order: Order
    readonly slice?: ReservedSlice | undefined
    readonly snapshot: OrderSnapshot
  }): Promise<StoredOrder>
  /** Notes what the chain says of a known order now. */
  noteSnapshot(orderId: Hex, snapshot: OrderSnapshot): Promise<StoredOrder | undefined>
  order(orderId: Hex): Promise<StoredOrder | undefined>
  /**
   * The order as this handle saw it less than a second ago, if it was open and not closing then; else as it is. Good enough
   * to judge what a request means: `reserve` sees what others changed since.
   */
  recentOrder(orderId: Hex): Promise<StoredOrder | undefined>
  /** All orders, oldest first. */
  orders(filter?: OrderFilter): Promise<readonly StoredOrder[]>

  /** The stored answer of `index`, whatever request it was for; undefined once it is no longer kept. */
  answer(orderId: Hex, index: bigint): Promise<StoredAnswer | undefined>
  /**
   * Reserves `maxFee` if `max(cumulative, released) + reservations + maxFee` fits the order, and the highest voucher
   * where there is one, which is kept in the same transaction. An order for one request takes one reservation, and none
   * after its receipt.
   */
  reserve(request: ReservationRequest): Promise<ReserveOutcome>
  /**
   * Consumes the reservation and stores receipt, leaf and answer.
   *
   * @throws {ReservationLostError} if its row has gone; nothing is changed
   * @throws {FeeOverReservationError} if the fee is over the reservation
   */
  commit(reservation: Reservation, commitment: Commitment): Promise<StoredAnswer>
  /** Gives the reservation back: the request failed. Without a row it does nothing. */
  abandon(reservation: Reservation): Promise<void>
  /** Says that this process lives: without it, its reservations end with the lease. */
  heartbeat(): Promise<void>
  /** Receipts of an order in order of `seq`, from `from` on. */
  receipts(orderId: Hex, page: { readonly from: bigint; readonly limit: number }): Promise<readonly SignedReceipt[]>

  /** Stops admission to an order for good. Says what the order is then. */
  startClosing(orderId: Hex, reason: ClosingReason): Promise<StoredOrder | undefined>
  /** Ends this handle: its live reservations are given back. */
  close(): Promise<void>
}

/** Whose books these are: a database never serves two of these. */
export interface BooksIdentity {
  readonly node: Address
  readonly escrow: Address
  /** The chain id at the escrow's deployment. */
  readonly chainId: bigint
}
