import { type Clock, LaneLostError, type Logger, type Sender, type Sleep, errorFields } from '@opg/operator'
import type { Closings } from './closings.js'
import type { Openings } from './openings.js'
import type { Outbox } from './outbox.js'
import type { EnginePolicy } from './policy.js'
import type { EngineStore, LaneLease } from './store/types.js'

/** The work of one sending key, which one process at a time does. */
export interface Lane {
  /** Passes again and again until aborted; resolves once the lane is let go. Whatever fails is tried again. */
  run(signal: AbortSignal): Promise<void>
  /** Something was queued: look soon. */
  wake(): void
}

export interface LaneDependencies {
  readonly store: EngineStore
  readonly sender: Sender
  readonly outbox: Outbox
  readonly openings: Openings
  readonly closings: Closings
  readonly policy: EnginePolicy
  /** The lane is renewed so often; well below the lease of the store. */
  readonly renewMs: number
  readonly clock: Clock
  readonly sleep: Sleep
  readonly logger: Logger
}

/** However quiet the chain is, what is on its way is looked at so often, or as often as replacing asks for. */
const FOLLOW_AT_LEAST_MS = 5_000
const LONGEST_PAUSE_MS = 5_000

export function createLane(dependencies: LaneDependencies): Lane {
  const { store, sender, outbox, openings, closings, policy, renewMs, clock, sleep, logger } = dependencies
  let alarm = new AbortController()
  const followAtLeastMs = Math.min(FOLLOW_AT_LEAST_MS, policy.replaceAfterMs)
  let followed = { hash: '', atMs: 0 }

  async function run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const lease = await tried('taking the lane', () => store.holdLane(sender.from))
      if (lease !== undefined) await work(lease, signal)
      await sleep(Math.min(renewMs, LONGEST_PAUSE_MS), signal)
    }
  }

  /** Until aborted, or until the lane is lost. */
  async function work(lease: LaneLease, signal: AbortSignal): Promise<void> {
    const lost = new AbortController()
    const over = AbortSignal.any([signal, lost.signal])
    over.addEventListener('abort', wake)
    const renewing = renew(lease, { over, lost })
    for (let failures = 0; !over.aborted;) {
      const isDone = await tried('a pass', () => pass(lease, lost))
      failures = isDone === true ? 0 : failures + 1
      await nap(over, Math.min(policy.pollMs * 2 ** failures, Math.max(LONGEST_PAUSE_MS, policy.pollMs)))
    }
    lost.abort()
    await renewing
    await tried('leaving the lane', () => store.releaseLane(lease))
  }

  async function renew(
    lease: LaneLease,
    { over, lost }: { readonly over: AbortSignal; readonly lost: AbortController },
  ): Promise<void> {
    for (;;) {
      await sleep(renewMs, over)
      if (over.aborted) return
      await tried('renewing the lane', async () => {
        const held = await store.holdLane(sender.from)
        if (held?.fence !== lease.fence) lost.abort()
      })
    }
  }

  async function nap(over: AbortSignal, ms: number): Promise<void> {
    if (over.aborted) return
    await sleep(ms, alarm.signal)
    if (!alarm.signal.aborted) return
    alarm = new AbortController()
    // So long others may come and share the transaction.
    await sleep(policy.gatherMs, over)
  }

  async function pass(lease: LaneLease, lost: AbortController): Promise<true> {
    try {
      await openings.send(lease, clock())
      const latest = await sender.latestBlock()
      if (latest.hash !== followed.hash || clock() - followed.atMs >= followAtLeastMs) {
        await outbox.checkReorgs(lease, latest.number)
        await outbox.follow(lease)
        followed = { hash: latest.hash, atMs: clock() }
      }
      const nowMs = clock()
      // A quiet chain's clock stands still, and its next block has the time of then.
      const chainSeconds = Math.max(latest.timestamp, Math.floor(nowMs / 1000))
      await closings.capture(lease, { nowMs, chainSeconds })
      await closings.reclaim(lease, chainSeconds)
    } catch (error) {
      if (!(error instanceof LaneLostError)) throw error
      logger.warn({ sender: sender.from }, error.message)
      lost.abort()
    }
    return true
  }

  /** Undefined where it failed: nothing is concluded, and it is tried again. */
  async function tried<T>(operation: string, work_: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work_()
    } catch (error) {
      logger.warn({ operation, sender: sender.from, ...errorFields(error) }, 'failed; it is tried again')
      return undefined
    }
  }

  function wake(): void {
    alarm.abort()
  }

  return { run, wake }
}
