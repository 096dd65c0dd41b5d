import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from './errors.js'

const errorOn = (value: unknown) => new InvalidInputError({ field: 'order.amount', expected: 'a number', value })

describe('InvalidInputError', () => {
  it('says what was expected where, and what was found', () => {
    const error = errorOn('-5')
    expect(error.message).toBe('order.amount must be a number, but it is "-5".')
    expect(error).toMatchObject({
      name: 'InvalidInputError',
      code: 'INVALID_INPUT',
      field: 'order.amount',
      found: '"-5"',
    })
  })

  it.each([
    [undefined, 'missing'],
    [null, 'null'],
    [true, 'true'],
    [1.5, '1.5'],
    [-0, '-0'],
    [-7n, '-7'],
    [{ a: 1 }, 'an object'],
    [[1, 2], 'an array of 2'],
    [() => 1, 'a function'],
    ['two\nlines', '"two\\nlines"'],
  ])('describes %s', (value, found) => {
    expect(errorOn(value).found).toBe(found)
  })

  it('stays short, whatever it is given', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ unit: 'binary', maxLength: 500 }), fc.anything()), (value) => {
        const { found } = errorOn(value)
        expect(found.length).toBeLessThanOrEqual(80)
        expect(found).not.toMatch(/[\n\r]/)
      }),
    )
    expect(errorOn('x'.repeat(1_000_000)).found).toHaveLength(80)
    expect(errorOn(10n ** 500n).found).toHaveLength(80)
  })

  it.each([
    ['with 0x', `0x${'ab'.repeat(32)}`],
    ['without', 'ab'.repeat(32)],
    ['inside other text', `key=${'AB'.repeat(32)};`],
  ])('never shows what could be a private key, %s (N8)', (_, text) => {
    const error = errorOn(text)
    expect(`${error.message} ${JSON.stringify(error)}`.toLowerCase()).not.toContain('abab')
    expect(error.found).toBe(`a string of ${String(text.length)} characters`)
  })
})
