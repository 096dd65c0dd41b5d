import { StoreError, hex, integer, optionalInteger, text, type Clock, type Database, type Row } from '@opg/operator'
import { parseOrder, parseTerms, toWire, type Hex } from '@opg/protocol'
import { markClosing } from './orderRows.js'
import type { NewPayment, PaymentStore, StoredPayment } from './paymentTypes.js'

/** The part of the books that holds payments. */
export function paymentBooks(database: Database, clock: Clock): PaymentStore {
  const read = (orderId: Hex): StoredPayment | undefined => {
    const row = database.get('SELECT * FROM payments WHERE order_id = ?', [orderId])
    return row === undefined ? undefined : paymentOf(row)
  }
  return {
    payment: (orderId) => database.read('reading a payment', () => read(orderId)),
    notePayment: (payment) =>
      database.write('writing a payment', () => {
        insert(database, payment)
        database.run("UPDATE payments SET asks = asks + 1 WHERE order_id = ? AND state = 'locking'", [payment.orderId])
        const stored = read(payment.orderId)
        if (stored === undefined) throw new StoreError('writing a payment')
        return stored
      }),
    confirmPayment: (payment, transaction) =>
      database.write('confirming a payment', () => {
        insert(database, payment)
        database.run("UPDATE payments SET state = 'locked', tx = ? WHERE order_id = ? AND state = 'locking'", [
          transaction,
          payment.orderId,
        ])
      }),
    forgetPayment: (orderId) =>
      database.write('forgetting a payment', () => {
        database.run("UPDATE payments SET asks = asks - 1 WHERE order_id = ? AND state = 'locking'", [orderId])
        database.run("DELETE FROM payments WHERE order_id = ? AND state = 'locking' AND asks <= 0", [orderId])
      }),
    dropPayment: (orderId) =>
      database.write('dropping a payment', () => {
        database.run("DELETE FROM payments WHERE order_id = ? AND state = 'locking'", [orderId])
      }),
    endPayment: (orderId, reason) =>
      database.write('ending a payment', () => {
        markClosing(database, orderId, reason)
        database.run(
          "UPDATE payments SET state = 'ended', ended_at_ms = ? WHERE order_id = ? AND state IN ('locking', 'locked')",
          [clock(), orderId],
        )
      }),
    forgetAnswers: (endedUntilMs) =>
      database.write('forgetting answers', () => {
        const over = "SELECT order_id FROM payments WHERE state = 'ended' AND ended_at_ms <= ?"
        database.run(`UPDATE receipts SET body = x'', is_forgotten = 1 WHERE order_id IN (${over})`, [endedUntilMs])
        database.run("UPDATE payments SET state = 'spent' WHERE state = 'ended' AND ended_at_ms <= ?", [endedUntilMs])
      }),
    unfinishedPayments: () =>
      database.read('reading payments', () =>
        database
          .all(
            `SELECT payments.* FROM payments LEFT JOIN orders USING (order_id)
             WHERE state IN ('locking', 'locked') OR orders.chain = 'missing' ORDER BY payments.rowid`,
          )
          .map(paymentOf),
      ),
  }
}

function insert(database: Database, payment: NewPayment): void {
  database.run(
    `INSERT INTO payments (order_id, terms, body, request_id, deadline, state, tx, asks)
     VALUES (?, ?, ?, ?, ?, 'locking', '', 0) ON CONFLICT DO NOTHING`,
    [
      payment.orderId,
      JSON.stringify(toWire(payment.terms)),
      JSON.stringify(toWire(payment.order)),
      payment.requestId,
      payment.deadline,
    ],
  )
}

function paymentOf(row: Row): StoredPayment {
  const terms: unknown = JSON.parse(text(row, 'terms'))
  const order: unknown = JSON.parse(text(row, 'body'))
  return {
    orderId: hex(row, 'order_id'),
    terms: parseTerms(terms),
    order: parseOrder(order),
    requestId: hex(row, 'request_id'),
    deadline: integer(row, 'deadline'),
    state: text(row, 'state') as StoredPayment['state'],
    transaction: text(row, 'tx'),
    endedAtMs: optionalInteger(row, 'ended_at_ms'),
  }
}
