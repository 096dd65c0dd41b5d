import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { uint } from '../test/arbitraries.js'
import { refusalOf } from '../test/refusal.js'
import { computeFee, quoteMaxFee } from './prices.js'

const NO_LIMIT = 2n ** 96n - 1n
const sheet = { perRequest: 100n, inputPerMillion: 2_000_000n, outputPerMillion: 3n }
const anySheet = fc.record({ perRequest: uint(80), inputPerMillion: uint(80), outputPerMillion: uint(80) })

describe('computeFee', () => {
  it.each([
    [0n, 0n, 100n],
    [1n, 0n, 102n],
    [0n, 1n, 101n], // three millionths of a base unit, rounded up
    [0n, 333_333n, 101n], // 0.999999
    [0n, 333_334n, 102n], // 1.000002
    [0n, 1_000_000n, 103n],
    [5n, 1_000_001n, 114n], // 10 + 3.000003, rounded once
  ])('of %d input and %d output tokens is %d', (inputTokens, outputTokens, fee) => {
    expect(computeFee(sheet, { inputTokens, outputTokens, maxFee: NO_LIMIT })).toBe(fee)
  })

  it('rounds the sum, not each part', () => {
    const halves = { perRequest: 0n, inputPerMillion: 500_000n, outputPerMillion: 500_000n }
    expect(computeFee(halves, { inputTokens: 1n, outputTokens: 1n, maxFee: NO_LIMIT })).toBe(1n)
  })

  it('is the least whole number that is not below the exact price, or the maximum', () => {
    fc.assert(
      fc.property(anySheet, uint(40), uint(40), uint(96), (prices, inputTokens, outputTokens, maxFee) => {
        const fee = computeFee(prices, { inputTokens, outputTokens, maxFee })
        const millionths =
          prices.perRequest * 1_000_000n + inputTokens * prices.inputPerMillion + outputTokens * prices.outputPerMillion
        if (fee * 1_000_000n < millionths) expect(fee).toBe(maxFee)
        expect(fee === 0n || (fee - 1n) * 1_000_000n < millionths).toBe(true)
        expect(fee <= maxFee).toBe(true)
      }),
    )
  })

  it.each([99n, 100n, 101n])('stays within a maximum of %d', (maxFee) => {
    expect(computeFee(sheet, { inputTokens: 0n, outputTokens: 0n, maxFee })).toBe(maxFee < 100n ? maxFee : 100n)
  })

  it.each([
    ['a negative price', { ...sheet, perRequest: -1n }, { inputTokens: 0n }, 'perRequest'],
    ['negative tokens', sheet, { inputTokens: -1n }, 'inputTokens'],
    ['a negative maximum', sheet, { maxFee: -1n }, 'maxFee'],
    ['negative output tokens', sheet, { outputTokens: -1n }, 'outputTokens'],
  ])('refuses %s', (_, prices, change, field) => {
    const usage = { inputTokens: 0n, outputTokens: 0n, maxFee: 1n, ...change }
    expect(refusalOf(() => computeFee(prices, usage)).field).toBe(field)
  })
})

describe('quoteMaxFee', () => {
  it('covers whatever is used up to the maxima', () => {
    fc.assert(
      fc.property(anySheet, uint(30), uint(30), uint(30), uint(30), (prices, a, b, c, d) => {
        const [inputTokens, maxInputTokens] = a < b ? [a, b] : [b, a]
        const [outputTokens, maxOutputTokens] = c < d ? [c, d] : [d, c]
        const quote = quoteMaxFee(prices, { maxInputTokens, maxOutputTokens })
        expect(computeFee(prices, { inputTokens, outputTokens, maxFee: NO_LIMIT }) <= quote).toBe(true)
      }),
    )
  })

  it('is the fee at the maxima', () => {
    expect(quoteMaxFee(sheet, { maxInputTokens: 5n, maxOutputTokens: 1_000_001n })).toBe(114n)
  })
})
