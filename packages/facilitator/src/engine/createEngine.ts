import { type Clock, type Logger, type Sleep, type TransactionSigner, createSender, errorFields } from '@opg/operator'
import type { Address } from '@opg/protocol'
import type { JsonRpcProvider } from 'ethers'
import { batchKeyOf } from './calls.js'
import { createEngineChain } from './chain.js'
import { createClosings } from './closings.js'
import { createGrouping } from './grouping.js'
import { createLane } from './lane.js'
import { createOpenings } from './openings.js'
import { createOutbox } from './outbox.js'
import { DEFAULT_ENGINE_POLICY, type EnginePolicy } from './policy.js'
import type { EngineStore, StoredOrder } from './store/types.js'
import type { BookedOrder, Engine, LockOutcome } from './types.js'
import { createWaiters } from './waiters.js'

export interface EngineOptions {
  /** The caller closes it, after `stop`. Instances may share it. */
  readonly store: EngineStore
  readonly provider: JsonRpcProvider
  /** Keys that pay the gas; each is a lane of transactions of its own, which no other program may use. */
  readonly signers: readonly [TransactionSigner, ...TransactionSigner[]]
  readonly escrow: Address
  /** The live chain id. */
  readonly chainId: bigint
  readonly policy?: Partial<EnginePolicy>
  /** Lanes are renewed so often: well below the lease of the store. */
  readonly laneRenewMs?: number
  readonly clock: Clock
  readonly sleep: Sleep
  readonly logger: Logger
}

const DEFAULT_LANE_RENEW_MS = 4_000
const BALANCE_INTERVAL_MS = 10_000

export function createEngine(options: EngineOptions): Engine {
  const { store, provider, escrow, chainId, clock, sleep, logger, laneRenewMs = DEFAULT_LANE_RENEW_MS } = options
  const policy: EnginePolicy = { ...DEFAULT_ENGINE_POLICY, ...options.policy }
  const chain = createEngineChain({ provider, escrow })
  const waiters = createWaiters({ store, sleep, logger, pollMs: policy.pollMs })
  const grouping = createGrouping({ chainId, escrow })
  const senders = options.signers.map((signer) => createSender({ provider, signer, chainId, to: escrow }))
  const lanes = senders.map((sender) => {
    const outbox = createOutbox({ store, chain, sender, policy, clock, logger, onBooked: waiters.wake })
    const openings = createOpenings({ store, chain, sender, outbox, policy, logger, onRefused: waiters.wake })
    const closings = createClosings({ store, sender, outbox, grouping, policy, logger })
    return createLane({
      store,
      sender,
      outbox,
      openings,
      closings,
      policy,
      renewMs: laneRenewMs,
      clock,
      sleep,
      logger,
    })
  })
  let balance: bigint | undefined
  let running: { readonly stop: AbortController; readonly done: Promise<unknown> } | undefined

  async function readBalance(): Promise<void> {
    try {
      const balances = await Promise.all(senders.map((sender) => sender.balance()))
      balance = balances.reduce((most, one) => (one > most ? one : most))
    } catch (error) {
      // What was known stays.
      logger.warn(errorFields(error), 'the gas money was not read')
    }
  }

  async function watchBalance(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await readBalance()
      await sleep(BALANCE_INTERVAL_MS, signal)
    }
  }

  async function lock({ opening, attempt, timeoutMs }: Parameters<Engine['lock']>[0]): Promise<LockOutcome> {
    const isPoor = balance !== undefined && balance < policy.minBalance
    if (isPoor && (await store.order(opening.orderId)) === undefined) {
      return { status: 'limited', limit: { name: 'minBalance' } }
    }
    const booked = await store.enqueue({ opening, batchKey: batchKeyOf(opening), attempt, limits: policy })
    if (booked.status === 'used' || booked.status === 'limited') return booked
    if (booked.status === 'queued') for (const lane of lanes) lane.wake()
    const isOver = (order: StoredOrder): boolean => lockOutcomeOf(order).status !== 'pending'
    const order = await waiters.wait(booked.order, { timeoutMs, isOver })
    const outcome = lockOutcomeOf(order)
    if (outcome.status !== 'locked' || outcome.transaction !== undefined) return outcome
    // Advisory: the order is locked, whether or not it is found by whom.
    const step = await chain.lastStep(order.orderId, outcome.blockNumber).catch(() => undefined)
    return { ...outcome, transaction: step?.transaction }
  }

  return {
    lock,
    capture: async (capture) => {
      const outcome = await store.enqueueCapture(capture)
      // Whoever waits for its lock waits for nothing.
      waiters.wake()
      return outcome
    },
    order: async (orderId) => {
      const order = await store.order(orderId)
      return order === undefined ? undefined : bookedOrder(order)
    },
    status: async () => {
      const [{ oldestPendingMs, ...counts }] = await Promise.all([store.counts(), readBalance()])
      const oldestPendingSeconds = oldestPendingMs === undefined ? 0 : Math.max(0, (clock() - oldestPendingMs) / 1000)
      return { ...counts, oldestPendingSeconds, balance }
    },
    start: () => {
      if (running !== undefined) return
      const stop = new AbortController()
      const { signal } = stop
      running = { stop, done: Promise.all([watchBalance(signal), ...lanes.map((lane) => lane.run(signal))]) }
    },
    stop: async () => {
      running?.stop.abort()
      waiters.end()
      await running?.done
      running = undefined
    },
  }
}

function lockOutcomeOf(order: StoredOrder): LockOutcome {
  const { refused, chain, capture, openedTx: transaction, openedBlock = 0 } = order
  if (refused !== undefined) return { status: 'refused', reason: refused }
  if (capture !== undefined || chain === 'closed') return { status: 'used' }
  return chain === 'open' ? { status: 'locked', transaction, blockNumber: openedBlock } : { status: 'pending' }
}

function bookedOrder(stored: StoredOrder): BookedOrder {
  const { orderId, opening, attempt, captured, captureFailure } = stored
  const { terms, order, funding } = opening
  return { orderId, terms, order, attempt, funding, state: stateOf(stored), captured, captureFailure }
}

function stateOf(order: StoredOrder): BookedOrder['state'] {
  if (order.chain === 'closed') return 'closed'
  if (order.refused !== undefined) return 'refused'
  if (order.chain === 'none') return order.isOpening ? 'opening' : 'queued'
  return order.capture === undefined || order.captureFailure !== undefined ? 'open' : 'capturing'
}
