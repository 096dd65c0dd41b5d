import { type Logger, type Sender, withMargin } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import { captureCall, isSettling, reclaimCall, together } from './calls.js'
import { type Grouping, groupBy } from './grouping.js'
import type { Outbox } from './outbox.js'
import type { EnginePolicy } from './policy.js'
import { revertReason } from './reverts.js'
import type { EngineStore, LaneLease, StoredOrder } from './store/types.js'

/** Sends what closes orders: captures, and after `claimBy` what returns the rest of orders that nobody captured. */
export interface Closings {
  /** @param moment `nowMs` of this process, `chainSeconds` of the latest block */
  capture(lease: LaneLease, moment: { readonly nowMs: number; readonly chainSeconds: number }): Promise<void>
  reclaim(lease: LaneLease, chainSeconds: number): Promise<void>
}

/** An order with the call that closes it, which passed its simulation. */
interface Closing {
  readonly order: StoredOrder
  readonly data: Hex
}

const READS_AT_ONCE = 20
const SHRINKS_BY = 4
/** A part of what may be pending: so much captures that others can spoil leave to those that nobody can. */
const KEPT_FOR_CERTAIN = 4
/** Balances that a closing adds to: the payer's, and the credits of node, model and facilitator; or the payer's alone. */
const SLOTS = { capture: 4, reclaim: 1 }

export function createClosings(dependencies: {
  readonly store: EngineStore
  readonly sender: Sender
  readonly outbox: Outbox
  readonly grouping: Grouping
  readonly policy: EnginePolicy
  readonly logger: Logger
}): Closings {
  const { store, sender, outbox, grouping, policy, logger } = dependencies
  const limit = policy.maxClosings

  async function capture(
    lease: LaneLease,
    { nowMs, chainSeconds }: { readonly nowMs: number; readonly chainSeconds: number },
  ): Promise<void> {
    while ((await outbox.room('capture')) > 0) {
      const queuedByMs = nowMs - policy.captureIntervalMs
      const urgentBy = chainSeconds + policy.urgentSeconds
      const orders = await store.takeCaptures(lease, { limit, queuedByMs, urgentBy })
      if (orders.length === 0) return
      const { certain, others } = grouping.captures(orders)
      await captureGroup(lease, certain)
      for (const group of others) {
        // Before the chain is asked: nodes by the thousand shall cost neither questions nor the room of others.
        if ((await outbox.room('capture')) > policy.maxPending / KEPT_FOR_CERTAIN) await captureGroup(lease, group)
        else await store.postpone(lease, { orderIds: group.map(({ orderId }) => orderId), delayMs: policy.restMs })
      }
    }
  }

  async function captureGroup(lease: LaneLease, orders: readonly StoredOrder[]): Promise<void> {
    const closings = await inTurn(orders, (order) => capturable(lease, order))
    await sendSome(lease, { kind: 'capture', closings: closings.flat() })
  }

  /** The capture's call, if the chain would take it now by itself. */
  async function capturable(lease: LaneLease, order: StoredOrder): Promise<readonly Closing[]> {
    if (order.capture === undefined) return []
    const data = captureCall(order, order.capture)
    const outcome = await sender.tryCall(data, policy.gasPerCapture)
    if (outcome.status === 'returned' && isSettling(outcome.data)) return [{ order, data }]
    const { orderId } = order
    const [reading] = await outbox.reread(lease, [orderId])
    if (reading?.chain !== 'open') {
      await store.postpone(lease, { orderIds: [orderId], delayMs: policy.restMs })
      return []
    }
    const reason = outcome.status === 'reverted' ? revertReason(outcome.data) : 'RowSkipped'
    logger.error({ orderId, reason }, 'the chain would not take a capture')
    await store.failCapture(lease, { orderId, reason })
    return []
  }

  async function reclaim(lease: LaneLease, chainSeconds: number): Promise<void> {
    while ((await outbox.room('reclaim')) > 0) {
      const claimBy = chainSeconds - policy.reclaimDelaySeconds
      const orders = await store.takeExpired(lease, { limit, claimBy })
      if (orders.length === 0) return
      const readings = await outbox.reread(
        lease,
        orders.map(({ orderId }) => orderId),
      )
      const open = orders.filter((_, place) => readings[place]?.chain === 'open')
      for (const [place, { orderId, refused }] of orders.entries()) {
        if (readings[place]?.chain === 'none' && refused !== undefined) await store.end(lease, orderId)
      }
      const closings = await inTurn(open, (order) => reclaimable(lease, order))
      // Anybody may reclaim an order first, and make all that share its transaction fail: they share it with fewer then.
      for (const group of groupBy(closings.flat(), ({ order }) => String(order.tries))) {
        const size = Math.max(1, Math.floor(limit / SHRINKS_BY ** (1 + group[0].order.tries)))
        for (let at = 0; at < group.length; at += size) {
          await sendSome(lease, { kind: 'reclaim', closings: group.slice(at, at + size) })
        }
      }
    }
  }

  async function reclaimable(lease: LaneLease, order: StoredOrder): Promise<readonly Closing[]> {
    const data = reclaimCall(order)
    const outcome = await sender.tryCall(data, policy.gasPerCapture)
    if (outcome.status === 'returned') return [{ order, data }]
    const { orderId } = order
    logger.warn({ orderId, reason: revertReason(outcome.data) }, 'an order cannot be reclaimed now; tried again')
    await store.postpone(lease, { orderIds: [orderId], delayMs: policy.restMs })
    return []
  }

  async function sendSome(
    lease: LaneLease,
    { kind, closings }: { readonly kind: 'capture' | 'reclaim'; readonly closings: readonly Closing[] },
  ): Promise<void> {
    if (closings.length === 0) return
    const orderIds = closings.map(({ order }) => order.orderId)
    const data = together(closings.map((closing) => closing.data))
    const estimate = await sender.estimate(data)
    const gasLimit =
      estimate.status === 'estimated' ? withMargin(estimate.gas, policy, closings.length * SLOTS[kind]) : undefined
    if (gasLimit !== undefined && (gasLimit <= policy.maxGasPerTransaction || closings.length === 1)) {
      await outbox.submit(lease, { kind, data, gasLimit, orderIds })
    } else if (closings.length === 1) {
      await store.postpone(lease, { orderIds, delayMs: policy.restMs })
    } else {
      const middle = Math.ceil(closings.length / 2)
      await sendSome(lease, { kind, closings: closings.slice(0, middle) })
      await sendSome(lease, { kind, closings: closings.slice(middle) })
    }
  }

  return { capture, reclaim }
}

/** In the order of `items`, a few at once. */
async function inTurn<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<readonly R[]> {
  const results: R[] = []
  for (let at = 0; at < items.length; at += READS_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + READS_AT_ONCE).map(work))))
  }
  return results
}
