import type { Clock, GasFees, Logger, Sender } from '@opg/operator'
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

const BPS = 10_000n
/** Why a row is passed over that may be taken another time: the state was another, or the verifier had too little gas. */
const PASSING: readonly string[] = ['stale', 'unknown', 'refused']
/** What chains say of a transaction that they have, in their pool or mined: no news to anybody. */
const KNOWN_ALREADY = /already (known|imported)|known transaction|nonce (too low|has already been used)/i

export function createOutbox({ store, chain, sender, policy, clock, logger }: OutboxDependencies): Outbox {
  /** Problems that were logged: a transaction that is not taken is sent again at every look. */
  const said = new Set<string>()

  async function submit(lease: LaneLease, call: OutboxCall): Promise<OutboxEntry | undefined> {
    const { kind, data, settlements } = call
    const gasLimit = call.gasLimit ?? (await estimatedGas(call))
    if (gasLimit === undefined) return undefined
    const [fees, pooled, pending] = await Promise.all([sender.fees(), sender.nextNonce(), store.pendingEntries()])
    const nonce = Math.max(pooled, ...pending.map((entry) => entry.nonce + 1))
    const { raw, hash } = await sender.sign({ ...fees, nonce, data, gasLimit })
    // On the disk before it is on the wire: whatever happens now, it is this transaction that is sent again.
    const entry = await store.recordEntry(lease, {
      kind,
      nonce,
      data,
      gasLimit,
      settlements,
      attempt: { raw, hash, ...fees, signedAtMs: clock() },
    })
    await broadcast(entry)
    return entry
  }

  async function estimatedGas({ kind, data, settlements }: OutboxCall): Promise<bigint | undefined> {
    const estimate = await sender.estimate(data)
    if (estimate.status === 'estimated') return withMargin(estimate.gas, policy)
    logger.error({ kind, rows: settlements.length, detail: estimate.detail }, 'the chain would not take this')
    return undefined
  }

  async function broadcast(entry: OutboxEntry): Promise<void> {
    const attempt = entry.attempts.at(-1)
    if (attempt === undefined) return
    const problem = await sender.broadcast(attempt.raw)
    const fields = { kind: entry.kind, hash: attempt.hash, nonce: entry.nonce, rows: entry.settlements.length }
    if (problem === undefined) logger.info(fields, 'transaction sent')
    else if (KNOWN_ALREADY.test(problem)) logger.info({ ...fields, problem }, 'transaction was there already')
    else if (!said.has(attempt.hash + problem)) {
      said.add(attempt.hash + problem)
      logger.warn({ ...fields, problem }, 'transaction not taken; it is followed all the same')
    }
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
    // The block is read first: what was mined up to it shows in what is read after.
    const latest = (await sender.latestBlock()).number
    for (const { hash } of entry.attempts) {
      const receipt = await sender.receipt(hash)
      if (receipt === undefined) continue
      if (latest - receipt.blockNumber + 1 < policy.confirmations) return false
      const booking = bookingOf(entry, receipt, chain.escrow)
      await store.book(lease, { id: entry.id, booking })
      const skipped = booking.rows.filter((row) => !row.settled)
      logger.info(
        { kind: entry.kind, hash, state: booking.state, rows: entry.settlements.length, skipped: skipped.length },
        'transaction booked',
      )
      for (const { orderId, outcome } of skipped) await noteSkipped(lease, { orderId, outcome })
      if (booking.state === 'reverted') await rereadOrders(entry)
      return true
    }
    if ((await sender.minedNonces(latest - (policy.confirmations - 1))) > entry.nonce) {
      await store.book(lease, { id: entry.id, booking: { state: 'superseded', block: undefined, rows: [] } })
      logger.warn({ kind: entry.kind, nonce: entry.nonce }, 'another transaction took the nonce; planned anew')
      await rereadOrders(entry)
      return true
    }
    await sendAgain(lease, entry)
    return false
  }

  async function sendAgain(lease: LaneLease, entry: OutboxEntry): Promise<void> {
    const last = entry.attempts.at(-1)
    if (last === undefined) return
    if (clock() - last.signedAtMs < policy.replaceAfterMs) {
      await broadcast(entry)
      return
    }
    const fees = raised(last, await sender.fees())
    const { nonce, data, gasLimit } = entry
    const { raw, hash } = await sender.sign({ ...fees, nonce, data, gasLimit })
    await broadcast(
      await store.recordAttempt(lease, { id: entry.id, attempt: { raw, hash, ...fees, signedAtMs: clock() } }),
    )
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

/** An estimate, and a little more. */
export function withMargin(gas: bigint, { gasMarginBps }: SettlePolicy): bigint {
  return gas + (gas * gasMarginBps) / BPS
}

/** At least an eighth more than before, as nodes ask of a replacement. */
function raised(last: GasFees, now: GasFees): GasFees {
  const raise = (before: bigint, present: bigint): bigint => {
    const least = before + before / 8n + 1n
    return present > least ? present : least
  }
  return {
    maxFeePerGas: raise(last.maxFeePerGas, now.maxFeePerGas),
    maxPriorityFeePerGas: raise(last.maxPriorityFeePerGas, now.maxPriorityFeePerGas),
  }
}
