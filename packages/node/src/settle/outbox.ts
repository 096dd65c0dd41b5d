import { type Clock, type Logger, type Sender, createFollower, withMargin } from '@opg/operator'
import type { Hex, Settlement } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import type { LaneLease, OutboxEntry, OutboxKind } from '../store/outboxTypes.js'
import type { NodeStore, StoredOrder } from '../store/types.js'
import { bookingOf } from './events.js'
import type { SettlePolicy } from './policy.js'

/** The node's transactions: written before they are sent, sent until they are mined, booked by their events (N4). */
export interface Outbox {
  /** Writes and sends a transaction. Undefined if it would revert, or cannot be paid for: then nothing is written. */
  submit(lease: LaneLease, call: OutboxCall): Promise<OutboxEntry | undefined>
  /** Looks after all that are on their way: books, sends again, replaces. Says what was booked. */
  follow(lease: LaneLease): Promise<readonly OutboxEntry[]>
  /** Takes back what a reorg has taken out of the chain; `follow` then sends it again. */
  checkReorgs(lease: LaneLease): Promise<void>
}

export interface OutboxCall {
  readonly kind: OutboxKind
  readonly data: Hex
  readonly settlements: readonly Settlement[]
  /** Where given, it is used as it is; otherwise it is estimated. */
  readonly gasLimit?: bigint
}

export interface OutboxDependencies {
  readonly store: NodeStore
  readonly chain: EscrowReader
  readonly sender: Sender
  readonly policy: SettlePolicy
  readonly clock: Clock
  readonly logger: Logger
}

/** Why a row is passed over that may be taken another time: the state was another, or the verifier had too little gas. */
const PASSING: readonly string[] = ['stale', 'unknown', 'refused']

export function createOutbox({ store, chain, sender, policy, clock, logger }: OutboxDependencies): Outbox {
  const follower = createFollower({ sender, policy, clock, logger })

  async function submit(lease: LaneLease, call: OutboxCall): Promise<OutboxEntry | undefined> {
    const { kind, data, settlements } = call
    const gasLimit = call.gasLimit ?? (await estimatedGas(call))
    if (gasLimit === undefined) return undefined
    const [pooled, pending] = await Promise.all([sender.nextNonce(), store.pendingEntries()])
    const nonce = Math.max(pooled, ...pending.map((entry) => entry.nonce + 1))
    const attempt = await follower.sign({ nonce, data, gasLimit })
    // On the disk before it is on the wire: whatever happens now, it is this transaction that is sent again.
    const entry = await store.recordEntry(lease, { kind, nonce, data, gasLimit, settlements, attempt })
    await follower.broadcast(entry)
    return entry
  }

  async function estimatedGas({ kind, data, settlements }: OutboxCall): Promise<bigint | undefined> {
    const estimate = await sender.estimate(data)
    // Each row may return money to a payer; the credits are of node, model and facilitator.
    if (estimate.status === 'estimated') return withMargin(estimate.gas, policy, settlements.length + 3)
    logger.error({ kind, rows: settlements.length, detail: estimate.detail }, 'the chain would not take this')
    return undefined
  }

  async function follow(lease: LaneLease): Promise<readonly OutboxEntry[]> {
    const booked: OutboxEntry[] = []
    for (const entry of await store.pendingEntries()) {
      if (await followOne(lease, entry)) booked.push(entry)
    }
    return booked
  }

  /** Whether it was booked. */
  async function followOne(lease: LaneLease, entry: OutboxEntry): Promise<boolean> {
    const { id, kind, nonce } = entry
    const found = await follower.look(entry, (attempt) => store.recordAttempt(lease, { id, attempt }))
    if (found.status === 'pending') return false
    if (found.status === 'superseded') {
      await store.book(lease, { id, booking: { state: 'superseded', block: undefined, rows: [] } })
      logger.warn({ kind, nonce }, 'another transaction took the nonce; planned anew')
      await rereadOrders(entry)
      return true
    }
    const { hash, receipt } = found
    const booking = bookingOf(entry, receipt, chain.escrow)
    await store.book(lease, { id, booking })
    const skipped = booking.rows.filter((row) => !row.settled)
    const fields = { kind, hash, state: booking.state, rows: entry.settlements.length, skipped: skipped.length }
    logger.info(fields, 'transaction booked')
    for (const { orderId, outcome } of skipped) await noteSkipped(lease, { orderId, outcome })
    if (booking.state === 'reverted') await rereadOrders(entry)
    return true
  }

  /** The chain passed over a row: what it says of the order now is the truth, and it is not sent again for ever. */
  async function noteSkipped(
    lease: LaneLease,
    { orderId, outcome }: { readonly orderId: Hex; readonly outcome: string },
  ): Promise<void> {
    logger.error({ orderId, outcome }, 'the escrow passed over an order')
    const order = await reread(orderId)
    if (order?.chain === 'open' && !PASSING.includes(outcome)) {
      await store.blockOrder(lease, { orderId, reason: outcome })
    }
  }

  async function rereadOrders(entry: OutboxEntry): Promise<void> {
    for (const { orderId } of entry.settlements) await reread(orderId)
  }

  async function reread(orderId: Hex): Promise<StoredOrder | undefined> {
    const known = await store.order(orderId)
    return known === undefined ? undefined : store.noteSnapshot(orderId, await chain.snapshot(known))
  }

  async function checkReorgs(lease: LaneLease): Promise<void> {
    const { number } = await sender.latestBlock()
    for (const entry of await store.bookedSince(Math.max(0, number - policy.reorgDepth))) {
      const { block } = entry
      if (block === undefined || (await sender.blockHash(block.number)) === block.hash) continue
      logger.warn({ kind: entry.kind, nonce: entry.nonce, block: block.number }, 'a reorg took a booked transaction')
      await store.unbook(lease, entry.id)
      await rereadOrders(entry)
    }
  }

  return { submit, follow, checkReorgs }
}
