import { describe, expect, it } from 'vitest'
import { termsHash } from '@opg/protocol'
import type { StoredPayment } from '../../src/store/paymentTypes.js'
import { anOrder, hash, openSnapshot, wish } from '../support/books.js'
import { setUpBooks, type CreateStore } from './storeFixture.js'

function aPayment(): Omit<StoredPayment, 'state' | 'transaction'> {
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
