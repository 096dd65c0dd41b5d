import { describe, expect, it } from 'vitest'
import { feeOf } from './fee.js'

const feeUnder = (amount: string, header?: string) =>
  feeOf({ amount, cap: 100n, responseHeaders: header === undefined ? undefined : { 'settlement-overrides': header } })

describe('the fee of an answer', () => {
  it.each([
    ['0', 0n],
    ['99', 99n],
    ['100', 100n],
    ['101', 100n],
    [(2n ** 255n).toString(), 100n],
  ])('is %s up to the cap', (amount, fee) => {
    expect(feeUnder(amount)).toEqual({ status: 'fee', fee })
    expect(feeUnder(amount, JSON.stringify({ amount }))).toEqual({ status: 'fee', fee })
  })

  it.each(['', '-1', '1.5', '0x10', '1e3', ' 1', '01'])('is not guessed from %j', (amount) => {
    expect(feeUnder(amount).status).toBe('unusable')
  })

  // What the stock server makes of these is the cap, or OPG for dollars.
  it.each(['{', 'null', '[]', '"1"', '{}', '{"amount":1}', '{"amount":"$0.05"}'])(
    'is not the cap where the override is %s',
    (header) => {
      expect(feeUnder('100', header).status).toBe('unusable')
    },
  )
})
