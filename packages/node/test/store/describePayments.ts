import { describe, expect, it } from 'vitest'
import { termsHash } from '@opg/protocol'
import type { NewPayment, StoredPayment } from '../../src/store/paymentTypes.js'
import { anOrder, commitmentOf, hash, openSnapshot, reserved, wish } from '../support/books.js'
import { setUpBooks, type CreateStore } from './storeFixture.js'

function aPayment(): NewPayment {
  return { ...anOrder(), requestId: hash('request'), deadline: 1_800_000_000 }
}

/** What every kind of books must do with payments. */
export function describePayments(name: string, create: CreateStore): void {
  describe(`payments in ${name}`, () => {
    const t = setUpBooks(create)
    const open = async ({
      orderId,
      terms,
      order,
    }: Pick<StoredPayment, 'orderId' | 'terms' | 'order'>): Promise<void> => {
      const snapshot = openSnapshot(order.amount)
      await t.store.putOrder({ orderId, termsHash: termsHash(terms), terms, order, snapshot })
    }

    it('stay as they came first, in another process too', async () => {
      const payment = aPayment()
      const first = await t.store.notePayment(payment)
      expect(first).toEqual({ ...payment, state: 'locking', transaction: '' })
      const other = await t.another()
      expect(await other.notePayment({ ...payment, requestId: hash('other') })).toEqual(first)
      expect(await other.payment(payment.orderId)).toEqual(first)
    })

    it('are confirmed once, and are not forgotten from then on', async () => {
      const payment = await t.store.notePayment(aPayment())
      await t.store.confirmPayment(payment, '0x01')
      await t.store.confirmPayment(payment, '0x02')
      await t.store.forgetPayment(payment.orderId)
      expect(await t.store.payment(payment.orderId)).toEqual({ ...payment, state: 'locked', transaction: '0x01' })
    })

    it('are confirmed where another process forgot them meanwhile', async () => {
      const payment = await t.store.notePayment(aPayment())
      await t.store.forgetPayment(payment.orderId)
      expect(await t.store.payment(payment.orderId)).toBeUndefined()
      await t.store.confirmPayment(payment, '0x01')
      expect(await t.store.payment(payment.orderId)).toMatchObject({ state: 'locked' })
    })

    it('stay where one of several that asked is refused, for the others may get their lock yet', async () => {
      const payment = await t.store.notePayment(aPayment())
      const { orderId } = payment
      await (await t.another()).notePayment(payment)
      await t.store.forgetPayment(orderId)
      expect(await t.store.payment(orderId)).toEqual(payment)
      await t.store.forgetPayment(orderId)
      expect(await t.store.payment(orderId)).toBeUndefined()
    })

    it('are dropped, however many asked, but not once they are confirmed', async () => {
      const [payment, confirmed] = [await t.store.notePayment(aPayment()), await t.store.notePayment(aPayment())]
      await t.store.notePayment(payment)
      await t.store.confirmPayment(confirmed, '0x01')
      for (const { orderId } of [payment, confirmed]) await t.store.dropPayment(orderId)
      expect(await t.store.payment(payment.orderId)).toBeUndefined()
      expect(await t.store.payment(confirmed.orderId)).toMatchObject({ state: 'locked' })
    })

    it('keep their answer until it is forgotten, and their receipt for good', async () => {
      const payment = await t.store.notePayment(aPayment())
      const { orderId } = payment
      await open(payment)
      const order = await t.present(orderId)
      const reservation = await reserved(t.store, order, 0n, 7n)
      const { signedReceipt } = await t.store.commit(reservation, commitmentOf(order, reservation, { fee: 7n }))
      const endedAtMs = t.clock()
      await t.store.endPayment(orderId, 'answered')
      t.clock.advance(5)
      await t.store.endPayment(orderId, 'answered') // a second end is none
      expect(await t.store.payment(orderId)).toMatchObject({ state: 'ended', endedAtMs })

      await t.store.forgetAnswers(endedAtMs - 1)
      expect(await t.store.answer(orderId, 0n)).toMatchObject({ signedReceipt })
      await t.store.forgetAnswers(endedAtMs)
      expect(await t.store.answer(orderId, 0n)).toBeUndefined()
      expect(await t.store.reserve(wish(order, 0n, 1n))).toEqual({ status: 'conflict' })
      await t.store.endPayment(orderId, 'answered')
      expect(await t.store.payment(orderId)).toMatchObject({ state: 'spent', endedAtMs })
      expect(await t.store.receipts(orderId, { from: 0n, limit: 1 })).toEqual([signedReceipt])
      expect(await t.store.unfinishedPayments()).toEqual([])
    })

    it('of other orders, sessions say, lose no answer', async () => {
      const session = anOrder()
      await open(session)
      await t.commit(await t.present(session.orderId), 0n, 7n)
      await t.store.forgetAnswers(t.clock())
      expect(await t.store.answer(session.orderId, 0n)).toBeDefined()
    })

    it('end with their order, which takes no more', async () => {
      const payment = await t.store.notePayment(aPayment())
      await open(payment)
      await t.store.endPayment(payment.orderId, 'answered')
      await t.store.endPayment(payment.orderId, 'failed')
      await t.store.confirmPayment(payment, '0x01')
      expect(await t.store.payment(payment.orderId)).toMatchObject({ state: 'ended', transaction: '' })
      const order = await t.present(payment.orderId)
      expect(order.closing).toBe('answered')
      expect(await t.store.reserve(wish(order, 0n, 1n))).toEqual({ status: 'closing', reason: 'answered' })
    })

    it('are unfinished until they end, and again where a reorg takes their order', async () => {
      const [asked, ended] = [await t.store.notePayment(aPayment()), await t.store.notePayment(aPayment())]
      await open(ended)
      const ids = async (): Promise<readonly string[]> =>
        (await t.store.unfinishedPayments()).map(({ orderId }) => orderId)
      expect(await ids()).toEqual([asked.orderId, ended.orderId])
      await t.store.endPayment(ended.orderId, 'answered')
      expect(await ids()).toEqual([asked.orderId])
      await t.store.noteSnapshot(ended.orderId, { ...openSnapshot(1n), state: 'missing', blockNumber: 2 })
      expect(await ids()).toEqual([asked.orderId, ended.orderId])
    })
  })
}
