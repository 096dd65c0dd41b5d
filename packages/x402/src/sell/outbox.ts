import type { Clock, Logger, Sleep } from '@opg/node'
import type { CaptureStep, Hex } from '@opg/protocol'
import type { FacilitatorClient } from '@x402/core/server'
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
  /** Orders that the facilitator still has to take, and attempts under way. */
  readonly size: number
  /** Stops trying. What is kept in a file is taken up by the next process. */
  close(): Promise<void>
}

export interface OutboxOptions {
  readonly store: OutboxStore
  readonly facilitator: Pick<FacilitatorClient, 'settle'>
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
    return await new Promise<Told>((resolve) => {
      const timer = setTimeout(() => {
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
      .finally(() => this.#runs.delete(run))
    this.#runs.add(run)
  }

  async #deliverUntilDone(first: OutboxEntry, onFirst: (told: Told) => void): Promise<void> {
    const { now, sleep, logger } = this.#options
    let entry = first
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(2 * pause, LONGEST_PAUSE_MS)) {
      const told = await this.#ask(entry)
      onFirst(told)
      // A later entry of the order took this one's place, or its caller let it go.
      if (this.#entries.get(entry.orderId) !== entry) return
      if (this.#isOver(entry, told)) return await this.forget(entry.orderId)
      const released = told.status === 'done' ? await this.#released(entry) : undefined
      if (released !== undefined) {
        entry = released
        await this.begin(entry)
        pause = FIRST_PAUSE_MS / 2
        continue
      }
      const { orderId, claimBy, step } = entry
      const reason = told.status === 'done' ? 'unsigned' : told.reason
      logger.warn({ orderId, phase: step.phase, reason }, 'the facilitator does not have an order yet; trying again')
      if (this.#stopped.signal.aborted) return
      await sleep(pause, this.#stopped.signal)
      if (this.#stopped.signal.aborted || this.#entries.get(orderId) !== entry) return
      if (now() >= claimBy * 1_000) {
        logger.error({ orderId, phase: step.phase }, 'claimBy has come: anyone may return the order to its payer')
        return await this.forget(orderId)
      }
    }
  }

  /** A lock that is there is released next; a capture is over only once the facilitator has it. */
  #isOver({ step }: OutboxEntry, told: Told): boolean {
    if (step.phase === 'capture') return told.status === 'done'
    return told.status === 'refused' && !PASSING.includes(told.reason)
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
