import type { Address, Hex } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import { freeOf } from '../store/orderRows.js'
import { amountOf } from '../store/reservedSlice.js'
import type { ClosingReason, NodeStore, StoredOrder } from '../store/types.js'

/** One order, as the books and the chain say. Base units. */
export interface OrderStatus {
  readonly orderId: Hex
  readonly payer: Address
  readonly chain: StoredOrder['chain']
  readonly closing: ClosingReason | undefined
  readonly blocked: string | undefined
  /** Unix seconds. */
  readonly claimBy: number
  readonly amount: bigint
  readonly cumulativeFee: bigint
  readonly released: bigint
  readonly unsettled: bigint
  readonly reserved: bigint
  readonly free: bigint
  readonly receipts: bigint
  readonly inFlight: boolean
}

/** What the node has earned, and where it is. Base units. */
export interface NodeStatus {
  readonly node: Address
  readonly escrow: Address
  readonly chainId: bigint
  readonly orders: readonly OrderStatus[]
  readonly totals: {
    readonly orders: number
    readonly open: number
    readonly receipts: bigint
    readonly cumulativeFee: bigint
    readonly released: bigint
    readonly unsettled: bigint
    readonly reserved: bigint
  }
  /** Transactions that are on their way. */
  readonly pendingTransactions: number
  /** What the node can claim; undefined while the chain cannot be asked. */
  readonly credits: bigint | undefined
}

/** Reads the books, and what the chain owes the node. */
export async function readStatus(input: {
  readonly store: NodeStore
  readonly chain: EscrowReader
  readonly node: Address
}): Promise<NodeStatus> {
  const { store, chain, node } = input
  const [orders, pending, credits] = await Promise.all([
    store.orders(),
    store.pendingEntries(),
    chain.credits(node).catch(() => undefined),
  ])
  const rows = orders.map(statusOf)
  const sum = (read: (row: OrderStatus) => bigint): bigint => rows.reduce((total, row) => total + read(row), 0n)
  return {
    node,
    escrow: chain.escrow,
    chainId: chain.chainId,
    orders: rows,
    totals: {
      orders: rows.length,
      open: rows.filter((row) => row.chain === 'open').length,
      receipts: sum((row) => row.receipts),
      cumulativeFee: sum((row) => row.cumulativeFee),
      released: sum((row) => row.released),
      unsettled: sum((row) => row.unsettled),
      reserved: sum((row) => row.reserved),
    },
    pendingTransactions: pending.length,
    credits,
  }
}

function statusOf(order: StoredOrder): OrderStatus {
  const { cumulativeFee, released } = order
  return {
    orderId: order.orderId,
    payer: order.order.payer,
    chain: order.chain,
    closing: order.closing,
    blocked: order.blocked,
    claimBy: order.order.claimBy,
    amount: amountOf(order),
    cumulativeFee,
    released,
    unsettled: cumulativeFee > released ? cumulativeFee - released : 0n,
    reserved: order.reserved,
    free: order.chain === 'open' ? freeOf(order) : 0n,
    receipts: order.receiptCount,
    inFlight: order.inFlight,
  }
}
