import { describe, expect, it } from 'vitest'
import { type Sent, Unanswered, callKey } from './unanswered.js'

const MINUTE_MS = 60_000
const sent = (name: string): Sent => ({
  headers: { 'payment-signature': name },
  payment: {
    needsReceipt: false,
    accept: () => Promise.resolve(),
    refuse: () => Promise.resolve(),
    retire: () => false,
    end: () => undefined,
  },
})

describe('payments without an answer', () => {
  it('are given out once, the oldest first, and to the same call only', () => {
    const unanswered = new Unanswered(() => 0)
    const [first, second] = [sent('1'), sent('2')]
    unanswered.keep('a', first)
    unanswered.keep('a', second)
    expect(unanswered.take('b')).toBeUndefined()
    expect([unanswered.take('a'), unanswered.take('a'), unanswered.take('a')]).toEqual([first, second, undefined])
  })

  it('that a seller never answers do not keep a call from being paid anew: ten minutes count from the first time', () => {
    let now = 0
    const unanswered = new Unanswered(() => now)
    const payment = sent('1')
    unanswered.keep('a', payment)
    for (let minute = 3; minute < 10; minute += 3) {
      now = minute * MINUTE_MS
      expect(unanswered.take('a')).toBe(payment)
      unanswered.keep('a', payment)
    }
    now = 10 * MINUTE_MS
    expect(unanswered.take('a')).toBeUndefined()
    unanswered.keep('a', payment)
    expect(unanswered.take('a')).toBeUndefined()
  })
})

describe('the same call', () => {
  const body = new TextEncoder().encode('{}')
  const keyOf = (headers: Record<string, string>): string =>
    callKey(new Request('http://seller.example/v1', { method: 'POST', headers }), body)

  it('is not one of another caller behind the same payer, whose answer could be given', () => {
    expect(keyOf({ authorization: 'Bearer a' })).not.toBe(keyOf({ authorization: 'Bearer b' }))
    expect(keyOf({ 'x-tenant': 'a' })).not.toBe(keyOf({}))
    expect(keyOf({ 'idempotency-key': 'a' })).not.toBe(keyOf({ 'idempotency-key': 'b' }))
    expect(keyOf({ 'x-a': 'b x-c: d' })).not.toBe(keyOf({ 'x-a': 'b', 'x-c': 'd' }))
  })

  it('is one that a client counts or traces', () => {
    const again = { accept: '*/*', 'x-stainless-retry-count': '1', traceparent: '00-2-2-01' }
    expect(keyOf({ Accept: '*/*', 'x-stainless-retry-count': '0', traceparent: '00-1-1-01' })).toBe(keyOf(again))
  })
})
