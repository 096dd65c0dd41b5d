import { ChainUnavailableError, type Clock, type Logger } from '@opg/operator'
import { termsHash } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import type { StoredPayment } from '../store/paymentTypes.js'
import type { NodeStore } from '../store/types.js'

/** After an authorization's end its opening may still be about to be seen, in seconds. */
const SETTLING_IN_SECONDS = 600

export interface SweepDependencies {
  readonly store: NodeStore
  readonly chain: Pick<EscrowReader, 'snapshot'>
  /** How long answers to stock payments are kept, in milliseconds. */
  readonly replayMs: number
  readonly clock: Clock
  readonly logger: Logger
}

/**
 * Looks after payments whose client has gone, or whose node was killed: closes what is answered, and gives back what will
 * never be. Deletes answers that are not given again any more. Any number of processes may do it.
 */
export async function sweepPayments(dependencies: SweepDependencies, signal: AbortSignal): Promise<void> {
  const { store, clock, replayMs } = dependencies
  await store.forgetAnswers(clock() - replayMs)
  for (const payment of await store.unfinishedPayments()) {
    if (signal.aborted) return
    await sweepOne(dependencies, payment)
  }
}

async function sweepOne({ store, chain, clock, logger }: SweepDependencies, payment: StoredPayment): Promise<void> {
  const { orderId, terms, order, deadline } = payment
  const now = Math.floor(clock() / 1000)
  const stored = await store.order(orderId)
  if (payment.state === 'ended' || payment.state === 'spent') {
    // A reorg took its opening, which may be back: then what is promised is done.
    if (order.claimBy > now) await store.noteSnapshot(orderId, await chain.snapshot({ orderId }))
    return
  }
  if (stored !== undefined && stored.receiptCount > 0n) {
    await store.endPayment(orderId, 'answered')
    return
  }
  // Its client may still come back, or is being served.
  if (deadline > now || (stored?.reservations ?? 0) > 0) return

  const snapshot = await chain.snapshot({ orderId })
  if (snapshot.state === 'missing') {
    if (deadline + SETTLING_IN_SECONDS <= now) await forget(store, payment)
    return
  }
  await store.putOrder({ orderId, termsHash: termsHash(terms), terms, order, snapshot })
  await store.endPayment(orderId, 'failed')
  logger.info({ orderId, chain: snapshot.state }, 'a payment that was not served is given back')
}

async function forget(store: NodeStore, { orderId, state }: StoredPayment): Promise<void> {
  if (state === 'locking') await store.forgetPayment(orderId)
  else await store.endPayment(orderId, 'failed')
}

/** Sweeps again and again until aborted. A chain that fails is asked again. */
export async function runSweep(
  dependencies: SweepDependencies,
  options: {
    readonly signal: AbortSignal
    readonly intervalMs: number
    readonly sleep: (ms: number, signal: AbortSignal) => Promise<void>
  },
): Promise<void> {
  const { signal, intervalMs, sleep } = options
  while (!signal.aborted) {
    try {
      await sweepPayments(dependencies, signal)
    } catch (error) {
      const code = error instanceof Error && 'code' in error ? String(error.code) : 'UNKNOWN'
      const isChain = error instanceof ChainUnavailableError
      dependencies.logger[isChain ? 'warn' : 'error']({ code }, 'looking after payments failed; it is tried again')
    }
    await sleep(intervalMs, signal)
  }
}
