import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { address } from '../test/arbitraries.js'
import { refusalOf, titled } from '../test/refusal.js'
import {
  parseAddress,
  parseBool,
  parseBytes,
  parseBytes32,
  parseObject,
  parseSmallUint,
  parseUint,
  toWire,
} from './codec.js'

const CHECKED = '0xFbC2051AE2265686a469421b2C5A2D5462FbF5eB'

describe('parseAddress', () => {
  it('takes any one case and gives the checksum', () => {
    fc.assert(
      fc.property(address, (some) => {
        expect(parseAddress(some)).toBe(some)
        expect(parseAddress(some.toLowerCase())).toBe(some)
        expect(parseAddress(`0x${some.slice(2).toUpperCase()}`)).toBe(some)
      }),
    )
  })

  it('refuses a wrong checksum and says the right one', () => {
    const error = refusalOf(() => parseAddress(CHECKED.replace('Fb', 'fb'), 'order.payer'))
    expect(error.field).toBe('order.payer')
    expect(error.expected).toContain(CHECKED)
  })

  it.each(
    titled([
      CHECKED.slice(0, -1),
      `${CHECKED}0`,
      CHECKED.slice(2),
      `0X${CHECKED.slice(2)}`,
      `${CHECKED}\n`,
      1,
      null,
      [CHECKED],
    ]),
  )('refuses %s', (_, value) => {
    expect(refusalOf(() => parseAddress(value)).code).toBe('INVALID_INPUT')
  })
})

describe('parseUint', () => {
  it.each([8, 64, 96, 256])('reads all of %d bits and nothing beyond', (bits) => {
    const max = 2n ** BigInt(bits) - 1n
    expect(parseUint(bits)('0', 'x')).toBe(0n)
    expect(parseUint(bits)(max.toString(), 'x')).toBe(max)
    expect(refusalOf(() => parseUint(bits)((max + 1n).toString(), 'x')).field).toBe('x')
  })

  it.each(
    titled([
      '',
      '-1',
      '+1',
      '01',
      '1.0',
      '1e2',
      ' 1',
      '1\n',
      '0x1',
      '9'.repeat(79),
      '9'.repeat(1_000_000),
      1,
      1n,
      null,
      true,
      {},
      ['1'],
    ]),
  )('refuses %s', (_, value) => {
    expect(refusalOf(() => parseUint(256)(value, 'x')).field).toBe('x')
  })
})

describe('parseSmallUint', () => {
  it('reads all of 40 bits and nothing beyond', () => {
    expect(parseSmallUint(40)(0, 'x')).toBe(0)
    expect(parseSmallUint(40)(2 ** 40 - 1, 'x')).toBe(2 ** 40 - 1)
    expect(refusalOf(() => parseSmallUint(40)(2 ** 40, 'x')).field).toBe('x')
  })

  it.each(titled([-1, -0, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1', 1n, null, true]))(
    'refuses %s',
    (_, value) => {
      expect(refusalOf(() => parseSmallUint(40)(value, 'x')).field).toBe('x')
    },
  )
})

describe('parseBytes', () => {
  it('keeps to its lengths and gives lower case', () => {
    const read = parseBytes({ min: 1, max: 2 })
    expect(read('0xAB', 'x')).toBe('0xab')
    expect(read('0xabcd', 'x')).toBe('0xabcd')
    expect(parseBytes32(`0x${'AB'.repeat(32)}`)).toBe(`0x${'ab'.repeat(32)}`)
    for (const value of ['0x', '0xabcdef', '0xabc', 'abcd', '0xgg', '0xab\n', 5, null]) {
      expect(refusalOf(() => read(value, 'x')).field).toBe('x')
    }
    for (const bytes of [31, 33]) expect(refusalOf(() => parseBytes32(`0x${'ab'.repeat(bytes)}`)).field).toBe('bytes32')
  })
})

describe('parseObject', () => {
  const inner = parseObject<{ readonly b: boolean }>({ b: parseBool })
  const read = parseObject<{ readonly a: { readonly b: boolean } }>({ a: inner })

  it('names a member by its path', () => {
    expect(refusalOf(() => read({ a: { b: 1 } }, 'top')).field).toBe('top.a.b')
    expect(refusalOf(() => read({ a: {} }, '')).message).toBe('a.b must be true or false, but it is missing.')
    expect(refusalOf(() => read({ a: [] }, '')).field).toBe('a')
    expect(refusalOf(() => read(null, '')).field).toBe('value')
  })

  it('refuses members that it does not know', () => {
    expect(refusalOf(() => read({ a: { b: true, c: 1 } }, 'top')).field).toBe('top.a.c')
    expect(refusalOf(() => read({ a: { b: true }, ['x\n'.repeat(100)]: 1 }, '')).field).not.toContain('\n')
  })

  it('takes no member from a prototype, and lets none be planted', () => {
    expect(refusalOf(() => read(Object.create({ a: { b: true } }) as unknown, '')).field).toBe('a')
    expect(refusalOf(() => read(JSON.parse('{"a":{"b":true},"__proto__":{"polluted":true}}'), '')).field).toBe(
      '__proto__',
    )
    expect(refusalOf(() => read(JSON.parse('{"a":{"b":true,"constructor":{}}}'), '')).field).toBe('a.constructor')
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })

  it('builds the result afresh', () => {
    const source = { a: { b: true } }
    const result = read(source, '')
    expect(result).toEqual(source)
    expect(result.a).not.toBe(source.a)
  })
})

describe('toWire', () => {
  it('writes bigints as decimal strings, at any depth, and leaves the rest', () => {
    expect(toWire({ a: 1n, b: [2n, { c: 3n }], d: 4, e: 'x', f: false })).toEqual({
      a: '1',
      b: ['2', { c: '3' }],
      d: 4,
      e: 'x',
      f: false,
    })
  })
})
