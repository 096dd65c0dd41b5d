import { type Logger, type Sleep, errorFields } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import type { EngineStore, StoredOrder } from './store/types.js'

/** Lets many wait for changes of orders at the price of one look at the books at a time. */
export interface Waiters {
  /** The order once `isOver` holds of it, or as it was seen last when the time is over. */
  wait(
    order: StoredOrder,
    input: { readonly timeoutMs: number; readonly isOver: (order: StoredOrder) => boolean },
  ): Promise<StoredOrder>
  /** Something was booked: look at once. */
  readonly wake: () => void
  /** Ends all waits as things stand. */
  end(): void
}

interface Waiter {
  last: StoredOrder
  readonly isOver: (order: StoredOrder) => boolean
  readonly finish: () => void
}

export function createWaiters(dependencies: {
  readonly store: EngineStore
  readonly sleep: Sleep
  readonly logger: Logger
  /** Other instances book too: so often the books are looked at. */
  readonly pollMs: number
}): Waiters {
  const { store, sleep, logger, pollMs } = dependencies
  const waiters = new Set<Waiter>()
  let alarm = new AbortController()
  let isRunning = false

  async function run(): Promise<void> {
    while (waiters.size > 0) {
      await sleep(pollMs, alarm.signal)
      alarm = new AbortController()
      if (waiters.size > 0) {
        await look().catch((error: unknown) => {
          logger.warn(errorFields(error), 'orders that are waited for were not read')
        })
      }
    }
    isRunning = false
  }

  async function look(): Promise<void> {
    const ids = new Set<Hex>()
    for (const { last } of waiters) ids.add(last.orderId)
    const orders = new Map((await store.decided([...ids])).map((order) => [order.orderId, order]))
    for (const waiter of waiters) {
      waiter.last = orders.get(waiter.last.orderId) ?? waiter.last
      if (waiter.isOver(waiter.last)) waiter.finish()
    }
  }

  return {
    wait: async (order, { timeoutMs, isOver }) => {
      if (isOver(order) || timeoutMs <= 0) return order
      const over = new AbortController()
      const waiter: Waiter = {
        last: order,
        isOver,
        finish: () => {
          over.abort()
        },
      }
      waiters.add(waiter)
      if (!isRunning) {
        isRunning = true
        void run()
      }
      await sleep(timeoutMs, over.signal)
      waiters.delete(waiter)
      return waiter.last
    },
    wake: () => {
      alarm.abort()
    },
    end: () => {
      for (const { finish } of waiters) finish()
    },
  }
}
