import type { Clock, Logger, Sleep } from '@opg/node'
import type { CaptureStep, Hex } from '@opg/protocol'
import type { FacilitatorClient } from '@x402/core/server'
import type { Capture, DirectSettling } from './direct.js'
import { askFacilitator, type Told } from './facilitator.js'
import type { OutboxEntry, OutboxStore } from './outboxStore.js'

/** Hands captures and releases to the facilitator, again and again until it has them or their time is over. */
export interface Outbox {
  /** Keeps a lock that is about to be asked for: a process that dies meanwhile gives it up when it comes back. */
  begin(entry: OutboxEntry): Promise<void>
  /** Of a lock that was refused: nothing is there to give back. */
  forget(orderId: Hex): Promise<void>
  /**
   * Takes an entry over. Resolves once the facilitator answered, or after `waitMs` with `unknown`: the outbox goes on.
   *
   * @throws {OutboxError} if the entry could not be kept
   */
  deliver(entry: OutboxEntry, waitMs: number): Promise<Told>
  /** Orders that the facilitator still has to take, and attempts under way; with `direct`, fees that the chain lacks too. */
  readonly size: number
  /** Brings all fees that wait to the chain now. Returns the orders that it does not show as closed. */
  settleDirectly(): Promise<readonly Hex[]>
  /** Stops trying. What is kept in a file is taken up by the next process. */
  close(): Promise<void>
}

export interface OutboxOptions {
  readonly store: OutboxStore
  readonly facilitator: Pick<FacilitatorClient, 'settle'>
  /** Watches over fees until the chain has them, and brings them there itself where the facilitator does not. */
  readonly direct?: DirectSettling | undefined
  /** Signs the release of an order. */
  readonly release: (orderId: Hex) => Promise<CaptureStep>
  readonly now: Clock
  readonly sleep: Sleep
  readonly logger: Logger
  /** How long one question to the facilitator may take. */
  readonly askTimeoutMs: number
}

const FIRST_PAUSE_MS = 500
const LONGEST_PAUSE_MS = 60_000
/** Refusals that may turn: all others end an attempt to give up a lock, since the order is another's or was not opened. */
const PASSING: readonly string[] = ['over_limit', 'facilitator_failed']

/** Opens an outbox and takes up what an earlier process left. @throws {OutboxError} */
export async function openOutbox(options: OutboxOptions): Promise<Outbox> {
  const outbox = new RetryingOutbox(options)
  for (const entry of await options.store.load()) outbox.resume(entry)
  return outbox
}

class RetryingOutbox implements Outbox {
  readonly #options: OutboxOptions
  readonly #entries = new Map<Hex, OutboxEntry>()
  readonly #stopped = new AbortController()
  readonly #runs = new Set<Promise<void>>()
  /** Entries whose answers did not leave: their callers still wait, or were told no and give the order back. */
  readonly #unsent = new Set<OutboxEntry>()

  constructor(options: OutboxOptions) {
    this.#options = options
  }

  get size(): number {
    return this.#entries.size
  }

  async begin(entry: OutboxEntry): Promise<void> {
    this.#entries.set(entry.orderId, entry)
    await this.#options.store.put(entry)
  }

  async forget(orderId: Hex): Promise<void> {
    this.#entries.delete(orderId)
    await this.#options.store.remove(orderId)
  }

  async deliver(entry: OutboxEntry, waitMs: number): Promise<Told> {
    await this.begin(entry)
    this.#unsent.add(entry)
    return await new Promise<Told>((resolve) => {
      const timer = setTimeout(() => {
        this.#unsent.delete(entry)
        resolve({ status: 'unknown', reason: 'queued', message: 'The outbox goes on trying.' })
      }, waitMs)
      this.#run(entry, (told) => {
        clearTimeout(timer)
        resolve(told)
      })
    })
  }

  resume(entry: OutboxEntry): void {
    this.#entries.set(entry.orderId, entry)
    this.#run(entry, () => undefined)
  }

  async settleDirectly(): Promise<readonly Hex[]> {
    const left: Hex[] = []
    for (const entry of [...this.#entries.values()].filter(isFee)) {
      if (this.#unsent.has(entry)) left.push(entry.orderId)
      else if (await this.#isSettled(entry, true)) await this.#end(entry)
      else left.push(entry.orderId)
    }
    return left
  }

  async close(): Promise<void> {
    this.#stopped.abort()
    await Promise.all(this.#runs)
  }

  #run(entry: OutboxEntry, onFirst: (told: Told) => void): void {
    const run = this.#deliverUntilDone(entry, onFirst)
      .catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : 'unknown'
        this.#options.logger.error({ orderId: entry.orderId, reason }, 'the outbox could not go on with an order')
      })
      .finally(() => {
        this.#unsent.delete(entry)
        this.#runs.delete(run)
      })
    this.#runs.add(run)
  }

  async #deliverUntilDone(first: OutboxEntry, onFirst: (told: Told) => void): Promise<void> {
    let entry = first
    let pause = FIRST_PAUSE_MS
    let isFirst = true
    // A later entry of the order takes this one's place, and its caller may let it go.
    while (this.#entries.get(entry.orderId) === entry) {
      const told = await this.#ask(entry)
      if (isFirst && told.status !== 'refused') this.#unsent.delete(entry)
      isFirst = false
      onFirst(told)
      if (this.#entries.get(entry.orderId) !== entry) return
      const isOver = (await this.#isOver(entry, told)) || this.#isTooLate(entry)
      if (isOver) {
        await this.#end(entry)
        return
      }
      const released = told.status === 'done' && entry.step.phase === 'lock' ? await this.#released(entry) : undefined
      if (released === undefined) {
        const { orderId, step } = entry
        const reason = told.status === 'done' ? (step.phase === 'lock' ? 'unsigned' : 'not on the chain') : told.reason
        const fields = { orderId, phase: step.phase, reason }
        this.#options.logger.warn(fields, 'an order is not done yet; trying again')
        if (await this.#pausedUntilStopped(pause)) return
        pause = Math.min(2 * pause, LONGEST_PAUSE_MS)
      } else {
        entry = released
        pause = FIRST_PAUSE_MS
        await this.begin(entry)
      }
    }
  }

  async #pausedUntilStopped(ms: number): Promise<boolean> {
    const { signal } = this.#stopped
    if (!signal.aborted) await this.#options.sleep(ms, signal)
    return signal.aborted
  }

  #isTooLate({ orderId, claimBy, step }: OutboxEntry): boolean {
    const { now, logger } = this.#options
    if (now() < claimBy * 1_000) return false
    logger.error({ orderId, phase: step.phase }, 'claimBy has come: anyone may return the order to its payer')
    return true
  }

  /** A lock that is there is released next; a capture is over only once the facilitator has it, or the chain. */
  async #isOver(entry: OutboxEntry, told: Told): Promise<boolean> {
    const { direct, now } = this.#options
    if (direct !== undefined && isFee(entry) && !this.#unsent.has(entry)) {
      return await this.#isSettled(entry, now() >= entry.claimBy * 1_000 - direct.dueMs)
    }
    if (entry.step.phase === 'capture') return told.status === 'done'
    return told.status === 'refused' && !PASSING.includes(told.reason)
  }

  async #isSettled(entry: Capture, isDue: boolean): Promise<boolean> {
    const { direct, logger } = this.#options
    try {
      return (await direct?.settle(entry, isDue)) ?? false
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown'
      logger.warn({ orderId: entry.orderId, reason }, 'the chain could not be asked, or did not take a fee')
      return false
    }
  }

  /** Unless another entry of the order took its place. */
  async #end(entry: OutboxEntry): Promise<void> {
    if (this.#entries.get(entry.orderId) === entry) await this.forget(entry.orderId)
  }

  /** The release of an order whose lock is there, or undefined while the key cannot be asked. */
  async #released(entry: OutboxEntry): Promise<OutboxEntry | undefined> {
    try {
      const step = await this.#options.release(entry.orderId)
      return { ...entry, requirements: { ...entry.requirements, amount: '0' }, step }
    } catch {
      return undefined
    }
  }

  async #ask(entry: OutboxEntry): Promise<Told> {
    const { facilitator, askTimeoutMs } = this.#options
    return await askFacilitator(facilitator, { ...entry, timeoutMs: askTimeoutMs })
  }
}

/** A release is not worth gas: its money returns at `claimBy` by itself. */
function isFee(entry: OutboxEntry): entry is Capture {
  return entry.step.phase === 'capture' && entry.step.settlement.cumulativeFee > 0n
}
