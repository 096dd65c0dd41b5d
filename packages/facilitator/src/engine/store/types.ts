import type { SignedAttempt, WrittenTransaction } from '@opg/operator'
import type { Address, Hex } from '@opg/protocol'
import type { Capture, CaptureOutcome, Opening } from '../types.js'

/** An order in the books. */
export interface StoredOrder {
  readonly orderId: Hex
  readonly opening: Opening
  /** bytes32: the node's attempt that the order is locked for. */
  readonly attempt: Hex
  /** Orders with the same key can be opened by one call. */
  readonly batchKey: string
  /** Failures on chain since its last step forward. */
  readonly tries: number
  /** What the chain said, with the confirmations that were asked for. */
  readonly chain: 'none' | 'open' | 'closed'
  /** Why the chain would not open it. */
  readonly refused: string | undefined
  /** A transaction that opens it is written. */
  readonly isOpening: boolean
  /** A transaction that closes it is written. */
  readonly isClosing: boolean
  /** The transaction that opened it, where it is known, and the block at which the order was found open. */
  readonly openedTx: Hex | undefined
  readonly openedBlock: number | undefined
  readonly capture: Capture | undefined
  /** Why the chain would not take the capture. */
  readonly captureFailure: string | undefined
  readonly closedTx: Hex | undefined
  /** Base units, once it is closed, if that is known. */
  readonly captured: bigint | undefined
}

export type EntryKind = 'open' | 'capture' | 'reclaim'

/** A transaction that was written before it was sent. */
export interface Entry extends WrittenTransaction {
  readonly id: string
  readonly kind: EntryKind
  readonly orderIds: readonly Hex[]
}

export interface BlockId {
  readonly number: number
  readonly hash: Hex
}

/** What the chain says of an order. */
export interface ChainOrder {
  readonly orderId: Hex
  readonly chain: 'none' | 'open' | 'closed'
}

export interface Reading extends ChainOrder {
  /** Where it got there, if that is known; else where it was read. */
  readonly block: BlockId
  /** The transaction that brought it there, if that is known. */
  readonly transaction?: Hex | undefined
  /** Base units, of a closed order, as far as known: the total that evidence settled, or what went back without any. */
  readonly fee?: bigint | undefined
  readonly refund?: bigint | undefined
}

/** Proof of holding the lane of a sending key: what is written with an older one is refused. */
export interface LaneLease {
  readonly sender: Address
  readonly fence: Hex
}

export interface Limits {
  /** Orders that are not open yet. */
  readonly maxUnopened: number
  readonly maxUnopenedOfPayer: number
  /** Orders of one hour that earned less than `leastFee`: of a payer, those that run included; of a node, those that are over. */
  readonly maxUnpaidOfPayer: number
  readonly maxUnpaidOfNode: number
  /** Base units. */
  readonly leastFee: bigint
  /** Orders of one hour, whatever they earned; 0 for no limit, as `maxUnpaidOfPayer` and `maxUnpaidOfNode` have it too. */
  readonly maxOpeningsOfPayer: number
  readonly maxOpeningsOfNode: number
}

/** A limit that was reached. */
export interface LimitReached {
  readonly name: Exclude<keyof Limits, 'leastFee'>
  readonly limit: number
  readonly found: number
  /** Of an hour's limit, milliseconds since 1970: then the oldest of them is an hour old. */
  readonly freeAtMs?: number | undefined
}

export interface Counts {
  readonly queuedOpenings: number
  readonly openOrders: number
  readonly queuedCaptures: number
  readonly failedCaptures: number
  readonly pendingTransactions: number
  /** Milliseconds since 1970; undefined while nothing is pending. */
  readonly oldestPendingMs: number | undefined
}

/** What a lane takes has been taken for it alone, until it is written or the lane's lease ends. */
export interface EngineStore {
  /** An order is put in once: for its first attempt. */
  enqueue(input: {
    readonly opening: Opening
    readonly batchKey: string
    readonly attempt: Hex
    readonly limits: Limits
  }): Promise<
    | { readonly status: 'queued' | 'known'; readonly order: StoredOrder }
    | { readonly status: 'used' }
    | { readonly status: 'limited'; readonly limit: LimitReached }
  >
  /** Queues it; or, of nothing and while the opening is not written yet, takes the opening back. */
  enqueueCapture(capture: Capture): Promise<CaptureOutcome>
  order(orderId: Hex): Promise<StoredOrder | undefined>
  /** Those of the orders that are open, refused or closed, or have a capture: whoever waits for a lock knows enough. */
  decided(orderIds: readonly Hex[]): Promise<readonly StoredOrder[]>
  counts(): Promise<Counts>

  /** Takes or renews the lane of a key; undefined while another process holds it. */
  holdLane(sender: Address): Promise<LaneLease | undefined>
  releaseLane(lease: LaneLease): Promise<void>

  /** Orders to open, oldest first: none until the oldest was queued by `gatheredByMs`, or there are `limit`. */
  takeOpenings(
    lease: LaneLease,
    input: { readonly limit: number; readonly gatheredByMs: number },
  ): Promise<readonly StoredOrder[]>
  /** Captures of open orders: none until one was queued by `queuedByMs` or has a `claimBy` by `urgentBy`, or there are `limit`. */
  takeCaptures(
    lease: LaneLease,
    input: { readonly limit: number; readonly queuedByMs: number; readonly urgentBy: number },
  ): Promise<readonly StoredOrder[]>
  /** Orders with a `claimBy` up to `claimBy` that may be open with nothing on its way to close them. */
  takeExpired(
    lease: LaneLease,
    input: { readonly limit: number; readonly claimBy: number },
  ): Promise<readonly StoredOrder[]>

  /** Notes that the chain would not open a queued order. No-op where a transaction for it is written. */
  refuse(lease: LaneLease, input: { readonly orderId: Hex; readonly reason: string }): Promise<void>
  failCapture(lease: LaneLease, input: { readonly orderId: Hex; readonly reason: string }): Promise<void>
  /** Lets orders rest, and others take them after it. */
  postpone(lease: LaneLease, input: { readonly orderIds: readonly Hex[]; readonly delayMs: number }): Promise<void>
  /** Books what the chain says of orders that no transaction here is about. */
  note(lease: LaneLease, readings: readonly Reading[]): Promise<void>
  /** Nothing more can happen to a refused order. */
  end(lease: LaneLease, orderId: Hex): Promise<void>

  /** Writes a signed transaction before it is sent; undefined, with nothing written, if its orders are not as planned. */
  recordEntry(
    lease: LaneLease,
    entry: {
      readonly kind: EntryKind
      readonly nonce: number
      readonly data: Hex
      readonly gasLimit: bigint
      readonly orderIds: readonly Hex[]
      readonly attempt: SignedAttempt
    },
  ): Promise<Entry | undefined>
  /** Writes a replacement before it is sent. */
  recordAttempt(lease: LaneLease, input: { readonly id: string; readonly attempt: SignedAttempt }): Promise<Entry>
  /** Books what became of a transaction and of its orders. An order that it did not move may be tried again. */
  book(
    lease: LaneLease,
    input: {
      readonly id: string
      /** Undefined: another transaction took its nonce. */
      readonly block: BlockId | undefined
      readonly readings: readonly Reading[]
      /** After so many failures on chain an order is refused, and a capture has failed. */
      readonly maxTries: number
    },
  ): Promise<void>
  /** Takes back, after a reorg, what was booked of a block: its transactions are pending again. Says which orders are left. */
  unbook(lease: LaneLease, block: BlockId): Promise<readonly Hex[]>
  /** Of a key, by nonce. */
  pendingEntries(sender: Address): Promise<readonly Entry[]>
  /** Blocks from a number on that something was booked of, newest first. */
  bookedBlocks(from: number): Promise<readonly BlockId[]>
  /** The highest nonce that is pending, or was mined at or after a block. */
  highestNonce(sender: Address, sinceBlock: number): Promise<number | undefined>

  close(): Promise<void>
}
