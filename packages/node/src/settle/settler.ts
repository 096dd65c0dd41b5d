import {
  ChainUnavailableError,
  LaneLostError,
  createSender,
  type Clock,
  type Logger,
  type Sleep,
  type TransactionSigner,
} from '@opg/operator'
import type { EscrowReader } from '../chain/escrowReader.js'
import { OrderNotReleasableError } from '../errors.js'
import type { AcceptedVerifier } from '../receipts/acceptedVerifier.js'
import type { LaneLease, OutboxEntry } from '../store/outboxTypes.js'
import type { NodeStore, StoredOrder } from '../store/types.js'
import type { Address, Hex } from '@opg/protocol'
import type { JsonRpcProvider } from 'ethers'
import { claimCall } from './calls.js'
import { type Candidate, type Group, candidateOf, groupsOf, isWorthwhile } from './candidates.js'
import { createOutbox } from './outbox.js'
import type { SettlePolicy } from './policy.js'
import { createSliceSender } from './sliceSender.js'
import { createSubmitter } from './submitter.js'

/** What one pass did. */
export type SettleReport =
  | {
      readonly status: 'done'
      readonly submitted: readonly OutboxEntry[]
      readonly booked: readonly OutboxEntry[]
      /** Transactions that are still on their way. */
      readonly pending: number
    }
  /** Another process settles with this key just now. */
  | { readonly status: 'busy' }

/** Turns receipts into money on chain. One at a time for a node key, over all of its processes. */
export interface Settler {
  /** Follows what is on its way, and submits what is worth it; all that can be settled, if `force`. */
  settleOnce(options?: { readonly force?: boolean }): Promise<SettleReport>
  /** Settles all that can be settled, and waits until every transaction is booked. */
  settleAll(options: { readonly signal: AbortSignal }): Promise<void>
  /** Pays the node's credit out if it is at least `threshold` base units (1 where left out). */
  claim(options?: { readonly threshold?: bigint }): Promise<OutboxEntry | undefined>
  /**
   * Gives an order back to its payer without evidence (F6), or settles a slice for nothing. Fees that are not settled
   * yet are given up, so it is refused while there are any, unless `forgoFees`.
   *
   * @throws {OrderNotReleasableError}
   */
  release(orderId: Hex, options?: { readonly forgoFees?: boolean }): Promise<OutboxEntry | undefined>
  /** Passes again and again until aborted. Resolves then. A chain that fails is asked again. */
  run(options: { readonly signal: AbortSignal; readonly intervalMs: number }): Promise<void>
}

export interface SettlerOptions {
  readonly store: NodeStore
  readonly chain: EscrowReader
  readonly provider: JsonRpcProvider
  /** The node's own key: it pays the gas, and only it may release. */
  readonly signer: TransactionSigner
  readonly verifiers: readonly AcceptedVerifier[]
  readonly policy: SettlePolicy
  readonly clock: Clock
  readonly sleep: Sleep
  readonly logger: Logger
  /** While others are waited for, the lane is renewed so often. */
  readonly laneRenewMs?: number
}

const DEFAULT_LANE_RENEW_MS = 2_000
const POLL_MS = 250
const READS_AT_ONCE = 20

export function createSettler(options: SettlerOptions): Settler {
  const { store, chain, policy, clock, sleep, logger, verifiers, laneRenewMs = DEFAULT_LANE_RENEW_MS } = options
  const node = options.signer.address as Address
  const sender = createSender({ ...options, chainId: chain.chainId, to: chain.escrow })
  const outbox = createOutbox({ store, chain, sender, policy, clock, logger })
  const slices = createSliceSender({ sender, outbox, policy, logger })
  const submitter = createSubmitter({ store, chain, verifiers, node, policy, outbox, slices, logger, keepingLane })
  let turn: Promise<unknown> = Promise.resolve()

  /** One at a time in this process, and by the lane over all processes. */
  function inLane<T>(work: (lease: LaneLease) => Promise<T>): Promise<T | undefined> {
    const next = turn.then(async () => {
      const lease = await store.holdLane()
      if (lease === undefined) return undefined
      try {
        return await work(lease)
      } finally {
        await store.releaseLane(lease)
      }
    })
    turn = next.catch(() => undefined)
    return next
  }

  /** Renews the lane while `work` waits for somebody else. */
  async function keepingLane<T>(work: () => Promise<T>): Promise<T> {
    const done = new AbortController()
    const renewing = (async () => {
      for (;;) {
        await sleep(laneRenewMs, done.signal)
        if (done.signal.aborted) return
        await store.holdLane()
      }
    })()
    try {
      return await work()
    } finally {
      done.abort()
      await renewing
    }
  }

  async function pass(lease: LaneLease, force: boolean): Promise<Extract<SettleReport, { status: 'done' }>> {
    await outbox.checkReorgs(lease)
    const booked = [...(await outbox.follow(lease))]
    const submitted: OutboxEntry[] = []
    for (const group of await worthwhileGroups(force)) {
      await store.holdLane() // renews: a pass over many batches takes its time
      submitted.push(...(await submitter.submit(lease, group)))
    }
    if (submitted.length > 0) booked.push(...(await outbox.follow(lease)))
    return { status: 'done', submitted, booked, pending: (await store.pendingEntries()).length }
  }

  async function worthwhileGroups(force: boolean): Promise<readonly Group[]> {
    const { timestamp } = await sender.latestBlock()
    const nowMs = clock()
    const moment = { nowMs, chainSeconds: Math.max(timestamp, Math.floor(nowMs / 1000)) }
    const orders = (await store.orders({ live: true })).filter((order) => {
      // What a reorg took may be back.
      const mayBeBack = order.chain === 'missing' && order.cumulativeFee > 0n
      return mayBeBack || candidateOf(order, policy, moment) !== undefined
    })
    const candidates: Candidate[] = []
    for (let at = 0; at < orders.length; at += READS_AT_ONCE) {
      await store.holdLane() // renews
      const fresh = await Promise.all(orders.slice(at, at + READS_AT_ONCE).map(reread))
      candidates.push(...fresh.flatMap((order) => (order && candidateOf(order, policy, moment)) ?? []))
    }
    if (candidates.length === 0) return []
    const { maxFeePerGas } = await sender.fees()
    const groups = groupsOf(candidates, policy).filter((group) => force || isWorthwhile(group, policy, maxFeePerGas))
    return [...groups.filter((group) => !isRemote(group)), ...groups.filter(isRemote)]
  }

  /** Whether others must sign for it, for whom nobody else shall wait. */
  function isRemote({ candidates }: Group): boolean {
    const address = candidates[0]?.order.terms.verifier
    return verifiers.some((verifier) => verifier.isRemote && verifier.address === address)
  }

  /** Not to pay gas for an order that somebody closed, or that a reorg took. */
  async function reread(order: StoredOrder): Promise<StoredOrder | undefined> {
    return store.noteSnapshot(order.orderId, await chain.snapshot(order))
  }

  async function releasable(orderId: Hex, forgoFees: boolean): Promise<StoredOrder> {
    const known = await store.order(orderId)
    if (known === undefined) throw new OrderNotReleasableError(orderId, 'these books do not know it.')
    if (known.inFlight) throw new OrderNotReleasableError(orderId, 'a settlement of it is on its way. Try again later.')
    if (known.cumulativeFee > known.released && !forgoFees) {
      const unsettled = (known.cumulativeFee - known.released).toString()
      throw new OrderNotReleasableError(orderId, `${unsettled} base units of fees are not settled. Settle it first.`)
    }
    const order = await store.startClosing(orderId, 'released')
    if (order === undefined || order.reservations > 0) {
      throw new OrderNotReleasableError(orderId, 'requests are running on it. It takes no more; try again later.')
    }
    return order
  }

  async function settleOnce(once: { readonly force?: boolean } = {}): Promise<SettleReport> {
    return (await inLane((lease) => pass(lease, once.force === true))) ?? { status: 'busy' }
  }

  return {
    settleOnce,
    settleAll: async ({ signal }) => {
      while (!signal.aborted) {
        const report = await settleOnce({ force: true })
        if (report.status === 'done' && report.pending === 0 && report.submitted.length === 0) return
        await sleep(POLL_MS, signal)
      }
    },
    claim: async ({ threshold = 1n } = {}) =>
      inLane(async (lease) => {
        await outbox.follow(lease)
        const isClaiming = (await store.pendingEntries()).some((entry) => entry.kind === 'claim')
        if (isClaiming || (await chain.credits(node)) < threshold) return undefined
        const entry = await outbox.submit(lease, { kind: 'claim', data: claimCall(node), settlements: [] })
        await outbox.follow(lease)
        return entry
      }),
    release: (orderId, { forgoFees = false } = {}) =>
      inLane(async (lease) => {
        const order = await releasable(orderId, forgoFees)
        const entry = await submitter.giveBack(lease, order)
        await outbox.follow(lease)
        return entry
      }),
    run: async ({ signal, intervalMs }) => {
      while (!signal.aborted) {
        try {
          await settleOnce()
        } catch (error) {
          if (!(error instanceof ChainUnavailableError || error instanceof LaneLostError)) {
            const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN'
            logger.error({ code }, 'a pass of the settler failed; it is tried again')
          } else logger.warn({ code: error.code }, 'the settler waits')
        }
        await sleep(intervalMs, signal)
      }
    },
  }
}
