import type { Clock } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import type { StoredOrder } from './types.js'

/** Orders that were read a moment ago, and were open to requests then. */
export interface RecentOrders {
  get(orderId: Hex): StoredOrder | undefined
  /** Keeps an order if it is open to requests, and gives it back. */
  keep(order: StoredOrder | undefined): StoredOrder | undefined
  forget(orderId: Hex): void
}

const MAX_AGE_MS = 1_000
const MAX_KEPT = 10_000

export function createRecentOrders(clock: Clock): RecentOrders {
  const kept = new Map<Hex, { readonly order: StoredOrder; readonly atMs: number }>()
  return {
    get: (orderId) => {
      const found = kept.get(orderId)
      const age = found === undefined ? MAX_AGE_MS : clock() - found.atMs
      return age >= 0 && age < MAX_AGE_MS ? found?.order : undefined
    },
    keep: (order) => {
      if (order?.chain !== 'open' || order.closing !== undefined || order.blocked !== undefined) return order
      if (kept.size >= MAX_KEPT) kept.clear()
      kept.set(order.orderId, { order, atMs: clock() })
      return order
    },
    forget: (orderId) => {
      kept.delete(orderId)
    },
  }
}
