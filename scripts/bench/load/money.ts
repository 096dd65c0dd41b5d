import type { Devnet } from '@opg/devnet'
import { setTimeout as sleep } from 'node:timers/promises'

/** How what the chain paid compares with what the receipts say. */
export interface Money {
  readonly unpaid: number
  readonly doublePaid: number
}

const PATIENCE_MS = 180_000

/** Waits until every order is closed, and compares each with its receipts. */
export async function readMoney(devnet: Devnet, billed: readonly ReadonlyMap<string, bigint>[]): Promise<Money> {
  const { escrow } = devnet.contracts
  const owed = new Map<string, bigint>()
  for (const one of billed) for (const [orderId, fee] of one) owed.set(orderId, (owed.get(orderId) ?? 0n) + fee)
  const deadline = performance.now() + PATIENCE_MS
  for (const orderId of owed.keys()) {
    while (!(await escrow.orders(orderId)).closed) {
      if (performance.now() > deadline) throw new TypeError(`order ${orderId} was not closed in time`)
      await sleep(100)
    }
  }
  const paid = new Map<string, bigint>()
  for (const { args } of await escrow.queryFilter(escrow.filters.OrderSettled(), 0)) {
    const before = paid.get(args.orderId) ?? 0n
    paid.set(args.orderId, args.cumulativeFee > before ? args.cumulativeFee : before)
  }
  const orders = [...owed].map(([orderId, fee]) => ({ fee, paid: paid.get(orderId) ?? 0n }))
  return {
    unpaid: orders.filter((order) => order.paid < order.fee).length,
    doublePaid: orders.filter((order) => order.paid > order.fee).length,
  }
}
