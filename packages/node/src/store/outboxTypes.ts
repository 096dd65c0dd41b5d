import type { SignedAttempt } from '@opg/operator'
import type { Hex, Settlement } from '@opg/protocol'
import type { ClosingReason } from './types.js'

/** What a transaction of the node is for. */
export type OutboxKind = 'settle' | 'claim' | 'release'

/** A transaction that the node has signed, or will never need again. */
export interface OutboxEntry {
  readonly id: number
  readonly kind: OutboxKind
  readonly nonce: number
  readonly data: Hex
  readonly gasLimit: bigint
  /** What a settlement says; of a release, its order with nothing settled; of a claim, none. */
  readonly settlements: readonly Settlement[]
  /** Oldest first, at least one. */
  readonly attempts: readonly SignedAttempt[]
  /** `superseded`: another transaction took the nonce. `reverted`: mined, and changed nothing. */
  readonly state: 'pending' | 'confirmed' | 'reverted' | 'superseded'
  /** Where it was mined, once booked. */
  readonly block: { readonly number: number; readonly hash: Hex } | undefined
}

/** What became of one row. */
export interface RowOutcome {
  readonly orderId: Hex
  /** `settled`, or the contract's reason for passing over it. */
  readonly outcome: string
  readonly settled: boolean
  readonly closed: boolean
  /** Base units: the order's total as the event says. */
  readonly cumulativeFee: bigint
}

export interface Booking {
  readonly state: 'confirmed' | 'reverted' | 'superseded'
  readonly block: { readonly number: number; readonly hash: Hex } | undefined
  readonly rows: readonly RowOutcome[]
}

/** Proof of holding the lane: what is written with an older one is refused. */
export interface LaneLease {
  readonly fence: Hex
}

/** The one lane of transactions of a node key: nonces are given out here, and nowhere else. */
export interface OutboxStore {
  /** Takes or renews the lane; undefined while another process holds it. */
  holdLane(): Promise<LaneLease | undefined>
  releaseLane(lease: LaneLease): Promise<void>
  /**
   * Marks orders as closing where nothing is running on them, in the transaction that reads their totals, and gives
   * the settlements that may be signed: an order with `close` admits nothing from here on (section 6.7).
   *
   * @throws {LaneLostError}
   */
  planSettlements(lease: LaneLease, wanted: readonly PlanWish[]): Promise<readonly Settlement[]>
  /**
   * Writes a signed transaction before it is sent, and takes its orders in flight.
   *
   * @throws {LaneLostError}
   */
  recordEntry(
    lease: LaneLease,
    entry: {
      readonly kind: OutboxKind
      readonly nonce: number
      readonly data: Hex
      readonly gasLimit: bigint
      readonly settlements: readonly Settlement[]
      readonly attempt: SignedAttempt
    },
  ): Promise<OutboxEntry>
  /** Writes a replacement before it is sent. @throws {LaneLostError} */
  recordAttempt(lease: LaneLease, input: { readonly id: number; readonly attempt: SignedAttempt }): Promise<OutboxEntry>
  /** Books what became of a transaction. @throws {LaneLostError} */
  book(lease: LaneLease, input: { readonly id: number; readonly booking: Booking }): Promise<void>
  /** Takes a booking back after a reorg: the entry is pending again. @throws {LaneLostError} */
  unbook(lease: LaneLease, id: number): Promise<void>
  /** Transactions on their way, by nonce. */
  pendingEntries(): Promise<readonly OutboxEntry[]>
  /** Transactions that were mined at or after a block. */
  bookedSince(blockNumber: number): Promise<readonly OutboxEntry[]>
  /** Notes that the chain will not take an order's settlement as it is, so that it is not sent again and again. */
  blockOrder(lease: LaneLease, input: { readonly orderId: Hex; readonly reason: string }): Promise<void>
  /** All transactions, oldest first. */
  entries(): Promise<readonly OutboxEntry[]>
}

/** An order that is worth settling. */
export interface PlanWish {
  readonly orderId: Hex
  /** Closes it for this reason, if nothing runs on it then; undefined leaves it open. */
  readonly close: ClosingReason | undefined
}
