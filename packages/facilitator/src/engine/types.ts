import type { Address, Hex, Order, Settlement, Terms } from '@opg/protocol'
import type { LimitReached } from './store/types.js'

/** An order whose authorization was verified: what it takes to open it. */
export interface Opening {
  readonly orderId: Hex
  readonly terms: Terms
  readonly order: Order
  readonly funding: Funding
  /** An EIP-2612 approval of Permit2, sent along in the same transaction. */
  readonly approval?: Eip2612Approval | undefined
}

/** How the money comes: by our own Permit2 witness, or by a stock `upto` authorization through its desk. */
export type Funding =
  | {
      readonly kind: 'permit2'
      /** uint256, Unix seconds. */
      readonly deadline: bigint
      readonly signature: Hex
    }
  | {
      readonly kind: 'upto'
      readonly adapter: Address
      /** uint256, Unix seconds. */
      readonly deadline: bigint
      /** uint32, seconds. */
      readonly claimWindow: number
      /** uint256, Unix seconds. */
      readonly validAfter: bigint
      readonly signature: Hex
    }

/** The arguments of the token's `permit(owner, Permit2, value, deadline, v, r, s)`; the owner is the payer. */
export interface Eip2612Approval {
  /** uint256, base units. */
  readonly value: bigint
  /** uint256, Unix seconds. */
  readonly deadline: bigint
  /** 65 bytes. */
  readonly signature: Hex
}

export interface Capture {
  readonly orderId: Hex
  /** Closes; a fee of zero releases the order. */
  readonly settlement: Settlement
  /** Checked by the caller: the escrow reverts for bad evidence. */
  readonly evidence: Hex
}

/**
 * The facilitator's books and its transactions. Every promise resolves once what it says is durable. Nothing here judges
 * an authorization: callers verify first.
 */
export interface Engine {
  /**
   * Opens an order for one attempt of its node, gathered with others of the same terms, and waits until the chain
   * confirms it, or for `timeoutMs`. The same attempt may ask again and again; an order is opened once, by whichever
   * instance saw it.
   */
  lock(input: { readonly opening: Opening; readonly attempt: Hex; readonly timeoutMs: number }): Promise<LockOutcome>
  /**
   * Queues a capture of a known order. It goes to the chain after the order's opening, together with others. One that the
   * chain did not take may be queued anew, also with other evidence, until too many have failed on chain.
   */
  capture(capture: Capture): Promise<CaptureOutcome>
  /** What is known of an order, or undefined. */
  order(orderId: Hex): Promise<BookedOrder | undefined>
  status(): Promise<EngineStatus>
  /** Starts what runs by itself: batches, following, captures, reclaiming after `claimBy`. Safe in several processes. */
  start(): void
  /** Finishes what is under way and lets go of the lane. What is queued stays queued. */
  stop(): Promise<void>
}

export type LockOutcome =
  /** `transaction` is undefined where somebody else opened the order, long ago. `blockNumber`: where it was found open. */
  | { readonly status: 'locked'; readonly transaction: Hex | undefined; readonly blockNumber: number }
  /** Another attempt has this order, or a capture of it was queued already: serve nothing for this one. */
  | { readonly status: 'used' }
  /**
   * The chain would not open it, and this engine does not try again. `reason` is one word: the name of the contract's
   * error (`InvalidNonce`, `SignatureExpired`, `OrderExpired`), the text of a `require` (`TRANSFER_FROM_FAILED`), or
   * `TakenBack` after a capture of nothing.
   */
  | { readonly status: 'refused'; readonly reason: string }
  /** Not confirmed in time. It may land yet: serve nothing, and capture with a fee of zero to give it back. */
  | { readonly status: 'pending' }
  /** Too much is under way, of this payer or at all, or was within the hour; or the gas money is short. */
  | { readonly status: 'limited'; readonly limit: LimitReached | { readonly name: 'minBalance' } }

export type CaptureOutcome =
  | { readonly status: 'queued' }
  /** `transaction` is undefined where none of ours was needed. */
  | { readonly status: 'done'; readonly transaction: Hex | undefined }
  /** Another capture of this order was queued before, and that one counts; or it ended otherwise. */
  | { readonly status: 'conflict' }
  /** Captures of this order failed on chain too often: no more gas is spent on it. */
  | { readonly status: 'failed' }
  /** Nothing was locked here that could be captured. */
  | { readonly status: 'unknown' }

export interface BookedOrder {
  readonly orderId: Hex
  readonly terms: Terms
  readonly order: Order
  readonly attempt: Hex
  /** What it is opened by. */
  readonly funding: Funding
  readonly state: 'queued' | 'opening' | 'open' | 'refused' | 'capturing' | 'closed'
  /** Base units that were captured, once it is closed; undefined where others closed it long ago. */
  readonly captured: bigint | undefined
  /** Why the chain did not take its capture, as `LockOutcome`'s reasons. The order is reclaimed after `claimBy`. */
  readonly captureFailure: string | undefined
}

/** For /health and /metrics. */
export interface EngineStatus {
  readonly queuedOpenings: number
  readonly openOrders: number
  readonly queuedCaptures: number
  /** Captures that the chain did not take. */
  readonly failedCaptures: number
  readonly pendingTransactions: number
  /** Seconds since the oldest pending transaction was first sent. */
  readonly oldestPendingSeconds: number
  /** The gas money that is left, in wei, on the sending key that has most; undefined until the chain answered. */
  readonly balance: bigint | undefined
}
