import type { Hex, Order, Terms } from '@opg/protocol'
import type { ClosingReason } from './types.js'

/**
 * A payment over x402 whose order is for one request, from before its money is locked: so that a lock which nobody waits
 * for any more is found again, and given back.
 */
export interface StoredPayment {
  readonly orderId: Hex
  readonly terms: Terms
  readonly order: Order
  /** The one request that it pays for. */
  readonly requestId: Hex
  /** Unix seconds: later than this nobody can open the order. */
  readonly deadline: number
  /**
   * `locking`: the facilitator is asked. `locked`: the chain confirmed it. `ended`: served or given back. `spent`: ended,
   * and its answer is no longer kept.
   */
  readonly state: 'locking' | 'locked' | 'ended' | 'spent'
  /** Hash of the transaction that opened the order, as the facilitator named it, or empty. */
  readonly transaction: string
  /** Milliseconds; when it ended. */
  readonly endedAtMs: number | undefined
}

export type NewPayment = Omit<StoredPayment, 'state' | 'transaction' | 'endedAtMs'>

/** Why a payment's order is closed. */
export type PaymentEnd = Extract<ClosingReason, 'answered' | 'failed'>

/** The payments among the books. Every method is one transaction. */
export interface PaymentStore {
  payment(orderId: Hex): Promise<StoredPayment | undefined>
  /**
   * Writes a payment down, and that its lock is about to be asked for. The first one of an order stays; it is what comes
   * back.
   */
  notePayment(payment: NewPayment): Promise<StoredPayment>
  /** The chain has confirmed its lock. */
  confirmPayment(payment: StoredPayment, transaction: string): Promise<void>
  /**
   * One that asked for its lock was refused: it is forgotten, unless it is confirmed, or others asked too, who may get it
   * yet.
   */
  forgetPayment(orderId: Hex): Promise<void>
  /** Nothing was locked for anybody, and nothing will be: it is forgotten, unless it is confirmed. */
  dropPayment(orderId: Hex): Promise<void>
  /** Its request is answered, or has failed: its order, where it is known, takes no more. */
  endPayment(orderId: Hex, reason: PaymentEnd): Promise<void>
  /** Deletes the answers of payments that ended at this time (milliseconds) or before. Their receipts stay. */
  forgetAnswers(endedUntilMs: number): Promise<void>
  /** Payments that have not ended, and ended ones whose order a reorg took. */
  unfinishedPayments(): Promise<readonly StoredPayment[]>
}
