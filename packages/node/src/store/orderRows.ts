import {
  amount,
  bytes,
  hex,
  integer,
  optionalInteger,
  optionalText,
  text,
  type Database,
  type Row,
} from '@opg/operator'
import {
  type Hex,
  EMPTY_TREE,
  packTree,
  parseOrder,
  parseSignedVoucher,
  parseTerms,
  toWire,
  unpackTree,
} from '@opg/protocol'
import type { Order, Terms } from '@opg/protocol'
import { type ReservedSlice, amountOf, parseReservedSlice } from './reservedSlice.js'
import type { ClosingReason, OrderSnapshot, StoredOrder } from './types.js'

/** All functions here run inside a transaction of their caller; those that read one order do so by one statement. */

/** The fees that are reserved of an order, as texts with commas between. */
const RESERVED =
  '(SELECT group_concat(max_fee) FROM reservations WHERE reservations.order_id = orders.order_id) AS reserved'
const SELECT = `SELECT orders.*, ${RESERVED} FROM orders`
/** Columns of an `OrderBalance`, less what never changes. */
export const BALANCE = `voucher, chain, closing, blocked, receipt_count, cumulative_fee, released, ${RESERVED}`

/** What of an order's row never changes. */
type Fixed = Pick<StoredOrder, 'terms' | 'order' | 'slice'>

/** The part of an order that says what it still holds. */
export type OrderBalance = Fixed &
  Pick<
    StoredOrder,
    | 'orderId'
    | 'voucher'
    | 'chain'
    | 'closing'
    | 'blocked'
    | 'receiptCount'
    | 'cumulativeFee'
    | 'released'
    | 'reserved'
    | 'reservations'
  >

/** Reading JSON costs more than the rest of a request: what never changes is read once, of the last 10,000 orders. */
const fixed = new WeakMap<Database, Map<Hex, Fixed>>()
const MAX_FIXED = 10_000

export function readOrder(database: Database, orderId: Hex): StoredOrder | undefined {
  const row = database.get(`${SELECT} WHERE order_id = ?`, [orderId])
  return row === undefined ? undefined : orderOf(database, row)
}

export function readOrders(database: Database, onlyLive: boolean): readonly StoredOrder[] {
  const where = onlyLive ? "WHERE chain <> 'closed' OR entry_id IS NOT NULL" : ''
  return database.all(`${SELECT} ${where} ORDER BY rowid`).map((row) => orderOf(database, row))
}

export function insertOrder(
  database: Database,
  input: {
    readonly orderId: Hex
    readonly termsHash: Hex
    readonly terms: Terms
    readonly order: Order
    readonly slice?: ReservedSlice | undefined
    readonly snapshot: OrderSnapshot
    readonly nowMs: number
  },
): void {
  const { snapshot, nowMs } = input
  database.run(
    `INSERT INTO orders (order_id, terms_hash, terms, body, slice, network_bps, royalty_bps, chain, released,
       checked_at_ms, tree, active_at_ms)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
    [
      input.orderId,
      input.termsHash,
      JSON.stringify(toWire(input.terms)),
      JSON.stringify(toWire(input.order)),
      input.slice === undefined ? null : JSON.stringify(toWire(input.slice)),
      snapshot.networkBps,
      snapshot.royaltyBps,
      snapshot.state,
      snapshot.released.toString(),
      nowMs,
      packTree(EMPTY_TREE),
      nowMs,
    ],
  )
}

/** What the chain says is taken over, unless it is older than the last booking. */
export function updateSnapshot(
  database: Database,
  input: { readonly orderId: Hex; readonly snapshot: OrderSnapshot; readonly nowMs: number },
): void {
  const { orderId, snapshot, nowMs } = input
  const row = database.get(`${SELECT} WHERE order_id = ?`, [orderId])
  if (row === undefined || snapshot.blockNumber < integer(row, 'booked_block')) return
  // A closed order no longer says what it released, and a missing one never released anything.
  const released =
    snapshot.state === 'open' ? snapshot.released : snapshot.state === 'missing' ? 0n : amount(row, 'released')
  const shares = snapshot.state === 'open' ? snapshot : undefined
  database.run(
    `UPDATE orders SET chain = ?, released = ?, checked_at_ms = ?, network_bps = ?, royalty_bps = ?,
       blocked = CASE WHEN chain = ? THEN blocked ELSE NULL END WHERE order_id = ?`,
    [
      snapshot.state,
      released.toString(),
      nowMs,
      shares?.networkBps ?? integer(row, 'network_bps'),
      shares?.royaltyBps ?? integer(row, 'royalty_bps'),
      snapshot.state,
      orderId,
    ],
  )
  noteUnsettled(database, { orderId, nowMs })
}

/** Keeps the mark of since when there has been something to settle. */
export function noteUnsettled(database: Database, input: { readonly orderId: Hex; readonly nowMs: number }): void {
  const row = database.get('SELECT cumulative_fee, released, unsettled_since_ms FROM orders WHERE order_id = ?', [
    input.orderId,
  ])
  if (row === undefined) return
  const isUnsettled = amount(row, 'cumulative_fee') > amount(row, 'released')
  const since = isUnsettled ? (optionalInteger(row, 'unsettled_since_ms') ?? input.nowMs) : null
  database.run('UPDATE orders SET unsettled_since_ms = ? WHERE order_id = ?', [since, input.orderId])
}

/** The first reason stays. */
export function markClosing(database: Database, orderId: Hex, reason: ClosingReason): void {
  database.run('UPDATE orders SET closing = COALESCE(closing, ?) WHERE order_id = ?', [reason, orderId])
}

function orderOf(database: Database, row: Row): StoredOrder {
  const orderId = hex(row, 'order_id')
  return {
    ...balanceOf({ orderId, fixed: keepFixed(database, orderId, row) }, row),
    termsHash: hex(row, 'terms_hash'),
    networkBps: integer(row, 'network_bps'),
    royaltyBps: integer(row, 'royalty_bps'),
    checkedAtMs: integer(row, 'checked_at_ms'),
    tree: unpackTree(bytes(row, 'tree')),
    activeAtMs: integer(row, 'active_at_ms'),
    unsettledSinceMs: optionalInteger(row, 'unsettled_since_ms'),
    inFlight: row.entry_id !== null,
  }
}

/** Of a row with the columns of `BALANCE`. */
export function balanceOf(
  { orderId, fixed: parts }: { readonly orderId: Hex; readonly fixed: Fixed },
  row: Row,
): OrderBalance {
  const fees = optionalText(row, 'reserved')?.split(',') ?? []
  return {
    ...parts,
    orderId,
    voucher: optionalJson(row, 'voucher', parseSignedVoucher),
    chain: text(row, 'chain') as StoredOrder['chain'],
    closing: optionalText(row, 'closing') as ClosingReason | undefined,
    blocked: optionalText(row, 'blocked'),
    receiptCount: BigInt(integer(row, 'receipt_count')),
    cumulativeFee: amount(row, 'cumulative_fee'),
    released: amount(row, 'released'),
    reserved: fees.reduce((sum, fee) => sum + BigInt(fee), 0n),
    reservations: fees.length,
  }
}

/** What never changes of an order, or undefined where there is none. */
export function fixedOf(database: Database, orderId: Hex): Fixed | undefined {
  const found = fixed.get(database)?.get(orderId)
  if (found !== undefined) return found
  const row = database.get('SELECT terms, body, slice FROM orders WHERE order_id = ?', [orderId])
  return row === undefined ? undefined : keepFixed(database, orderId, row)
}

function keepFixed(database: Database, orderId: Hex, row: Row): Fixed {
  const known = fixed.get(database) ?? new Map<Hex, Fixed>()
  const found = known.get(orderId)
  if (found !== undefined) return found
  const terms: unknown = JSON.parse(text(row, 'terms'))
  const order: unknown = JSON.parse(text(row, 'body'))
  const parts = {
    terms: parseTerms(terms),
    order: parseOrder(order),
    slice: optionalJson(row, 'slice', parseReservedSlice),
  }
  if (known.size >= MAX_FIXED) known.clear()
  fixed.set(database, known.set(orderId, parts))
  return parts
}

function optionalJson<T>(row: Row, column: string, parse: (value: unknown, field: string) => T): T | undefined {
  const json = optionalText(row, column)
  if (json === undefined) return undefined
  const value: unknown = JSON.parse(json)
  return parse(value, column)
}

/** Base units of an order that are free for new requests: `amount - max(cumulative, released) - reservations`. */
export function freeOf(order: OrderBalance): bigint {
  const free = amountOf(order) - committedOf(order)
  return free > 0n ? free : 0n
}

/** Base units of an order that are spent or reserved: `max(cumulative, released) + reservations`. */
export function committedOf(order: OrderBalance): bigint {
  const spent = order.cumulativeFee > order.released ? order.cumulativeFee : order.released
  return spent + order.reserved
}
