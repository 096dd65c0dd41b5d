import { formatUnits, parseUnits } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { uint } from '../test/arbitraries.js'
import { refusalOf, titled } from '../test/refusal.js'
import { formatOpg, parseBaseUnits, parseOpg } from './amounts.js'

const MAX = 2n ** 96n - 1n

const HOSTILE: readonly unknown[] = [
  '',
  ' ',
  ' 1',
  '1 ',
  '1\n',
  '+1',
  '-1',
  '1e3',
  '1E3',
  '0x10',
  '1,5',
  '1_000',
  '01',
  '00',
  'NaN',
  'Infinity',
  '١',
  '1'.repeat(100_000),
  1,
  1n,
  null,
  undefined,
  {},
  ['1'],
]

describe('parseOpg', () => {
  it.each([
    ['1', 10n ** 18n],
    ['1.5', 15n * 10n ** 17n],
    ['0.5', 5n * 10n ** 17n],
    ['1.50', 15n * 10n ** 17n],
    ['0.000000000000000001', 1n],
    ['79228162514.264337593543950335', MAX],
  ])('reads %s', (text, amount) => {
    expect(parseOpg(text)).toBe(amount)
  })

  it.each(
    titled([...HOSTILE, '.5', '1.', '.', '1.2.3', '0', '0.0', '0.000000000000000000', '1.0000000000000000000', '1.-5']),
  )('refuses %s', (_, text) => {
    expect(refusalOf(() => parseOpg(text, 'order.amount'))).toMatchObject({
      code: 'INVALID_INPUT',
      field: 'order.amount',
    })
  })

  it.each(['79228162514.264337593543950336', '79228162515', '100000000000'])('refuses %s, over 96 bits', (text) => {
    expect(refusalOf(() => parseOpg(text)).field).toBe('amount')
  })
})

describe('formatOpg', () => {
  it('gives what parseOpg reads back, for every amount: no unit is lost on the way (N7)', () => {
    fc.assert(
      fc.property(
        uint(96).filter((amount) => amount > 0n),
        (amount) => {
          expect(parseOpg(formatOpg(amount))).toBe(amount)
          expect(parseUnits(formatOpg(amount), 18)).toBe(amount)
        },
      ),
    )
  })

  it.each([
    [0n, '0'],
    [1n, '0.000000000000000001'],
    [10n ** 18n, '1'],
    [15n * 10n ** 17n, '1.5'],
    [10n ** 19n, '10'],
    [MAX, formatUnits(MAX, 18)],
  ])('writes %d as %s', (amount, text) => {
    expect(formatOpg(amount)).toBe(text)
  })

  it('refuses a negative amount', () => {
    expect(refusalOf(() => formatOpg(-1n)).field).toBe('amount')
  })
})

describe('parseBaseUnits', () => {
  it.each([0n, 1n, MAX])('reads %d', (amount) => {
    expect(parseBaseUnits(amount.toString())).toBe(amount)
  })

  it.each(titled([...HOSTILE, '1.5', '1.0', (MAX + 1n).toString()]))('refuses %s', (_, text) => {
    expect(refusalOf(() => parseBaseUnits(text, 'maxFee'))).toMatchObject({ code: 'INVALID_INPUT', field: 'maxFee' })
  })
})
