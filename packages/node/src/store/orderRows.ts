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

/** All functions here run inside a transaction of their caller. */
const SELECT = 'SELECT * FROM orders'

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
  const reservations = database.all('SELECT max_fee FROM reservations WHERE order_id = ?', [orderId])
  const terms: unknown = JSON.parse(text(row, 'terms'))
  const order: unknown = JSON.parse(text(row, 'body'))
  return {
    orderId,
    termsHash: hex(row, 'terms_hash'),
    terms: parseTerms(terms),
    order: parseOrder(order),
    slice: optionalJson(row, 'slice', parseReservedSlice),
    voucher: optionalJson(row, 'voucher', parseSignedVoucher),
    networkBps: integer(row, 'network_bps'),
    royaltyBps: integer(row, 'royalty_bps'),
    chain: text(row, 'chain') as StoredOrder['chain'],
    released: amount(row, 'released'),
    checkedAtMs: integer(row, 'checked_at_ms'),
    closing: optionalText(row, 'closing') as ClosingReason | undefined,
    blocked: optionalText(row, 'blocked'),
    receiptCount: BigInt(integer(row, 'receipt_count')),
    cumulativeFee: amount(row, 'cumulative_fee'),
    tree: unpackTree(bytes(row, 'tree')),
    activeAtMs: integer(row, 'active_at_ms'),
    unsettledSinceMs: optionalInteger(row, 'unsettled_since_ms'),
    reserved: reservations.reduce((sum, reservation) => sum + amount(reservation, 'max_fee'), 0n),
    reservations: reservations.length,
    inFlight: row.entry_id !== null,
  }
}

function optionalJson<T>(row: Row, column: string, parse: (value: unknown, field: string) => T): T | undefined {
  const json = optionalText(row, column)
  if (json === undefined) return undefined
  const value: unknown = JSON.parse(json)
  return parse(value, column)
}

/** Base units of an order that are free for new requests: `amount - max(cumulative, released) - reservations`. */
export function freeOf(order: StoredOrder): bigint {
  const free = amountOf(order) - committedOf(order)
  return free > 0n ? free : 0n
}

/** Base units of an order that are spent or reserved: `max(cumulative, released) + reservations`. */
export function committedOf(order: StoredOrder): bigint {
  const spent = order.cumulativeFee > order.released ? order.cumulativeFee : order.released
  return spent + order.reserved
}
