import { describe, expect, it } from 'vitest'
import { readPrice } from './price.js'

const TOKEN = '0x240b09731D96979f50B2C649C9CE10FcF9C7987F'
const OTHER = '0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002'

describe('a price', () => {
  it.each(['0.01 OPG', '0.01OPG', '0.01', 0.01])('may be %j', (price) => {
    expect(readPrice(price, TOKEN)).toEqual({ asset: TOKEN, amount: (10n ** 16n).toString() })
  })

  it('may be base units, of OPG by its address in any case', () => {
    const asset = TOKEN.toLowerCase()
    expect(readPrice({ asset, amount: '7' }, TOKEN)).toEqual({ asset: TOKEN, amount: '7' })
  })

  it.each(['$0.01', '0.01 USDC', '0', '-1', '1e-7', '', 'OPG', 0, NaN, 1e30, '0.0000000000000000001'])(
    'is not %j',
    (price) => {
      expect(() => readPrice(price, TOKEN)).toThrow(/price/)
    },
  )

  it.each([
    { asset: OTHER, amount: '7' },
    { asset: TOKEN, amount: '0' },
    { asset: TOKEN, amount: '1.5' },
    { asset: 'OPG', amount: '7' },
  ])('is not %j', (price) => {
    expect(() => readPrice(price, TOKEN)).toThrow(/price/)
  })
})
