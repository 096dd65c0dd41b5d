import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { refusalOf } from '../test/refusal.js'
import { canonicalJson } from './canonicalJson.js'

/** As Python does it: JSON in, `json.dumps(…, sort_keys=True)` out, a line each. */
const PYTHON = `import json, sys
for line in sys.stdin:
    print(json.dumps(json.loads(line), sort_keys=True))`

function askPython(values: readonly unknown[]): readonly string[] | undefined {
  const input = values.map((value) => JSON.stringify(value)).join('\n')
  const ran = spawnSync('python3', ['-c', PYTHON], { input, encoding: 'utf8', maxBuffer: 2 ** 26 })
  return ran.status === 0 ? ran.stdout.split('\n').slice(0, values.length) : undefined
}

const isPythonHere = askPython([1]) !== undefined

describe('canonicalJson', () => {
  // Worked out by hand from the rules of Python's json module and float repr.
  it.each<readonly [unknown, string]>([
    [null, 'null'],
    [true, 'true'],
    [[], '[]'],
    [{}, '{}'],
    [[1, 'a', false], '[1, "a", false]'],
    [{ b: 1, a: { d: [], c: 2 } }, '{"a": {"c": 2, "d": []}, "b": 1}'],
    [{ gone: undefined, kept: null }, '{"kept": null}'],
    [0, '0'],
    [-0, '0'],
    [1.0, '1'],
    [-17, '-17'],
    [0.7, '0.7'],
    [0.1 + 0.2, '0.30000000000000004'],
    [1234.5, '1234.5'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [0.000012345, '1.2345e-05'],
    [-1.5e-7, '-1.5e-07'],
    [5e-324, '5e-324'],
    [1e16, '10000000000000000'],
    [2 ** 53, '9007199254740992'],
    [1e20, '100000000000000000000'],
    [1e21, '1e+21'],
    [1.7976931348623157e308, '1.7976931348623157e+308'],
    [2n ** 96n, '79228162514264337593543950336'],
    ['', '""'],
    ['a"b\\c/d', '"a\\"b\\\\c/d"'],
    ['\b\f\n\r\t\u0000\u001f\u007f', '"\\b\\f\\n\\r\\t\\u0000\\u001f\\u007f"'],
    ['é ß 漢', '"\\u00e9 \\u00df \\u6f22"'],
    ['😀', '"\\ud83d\\ude00"'],
    ['\ud800', '"\\ud800"'],
    ['\u2028', '"\\u2028"'],
    // By code points U+1F600 comes after U+FFFD; by UTF-16 units it would come before.
    [
      { '😀': 1, '\ufffd': 2, Z: 3, a: 4, '': 5, ab: 6 },
      '{"": 5, "Z": 3, "a": 4, "ab": 6, "\\ufffd": 2, "\\ud83d\\ude00": 1}',
    ],
    [JSON.parse('{"__proto__": 1}') as unknown, '{"__proto__": 1}'],
  ])('writes %o', (value, text) => {
    expect(canonicalJson(value)).toBe(text)
  })

  it('is JSON that reads back as the same value', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)))
      }),
    )
  })

  it.runIf(isPythonHere)('agrees with python3 on any JSON', () => {
    const number = fc.oneof(
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.integer(),
      fc.float({ noNaN: true, noDefaultInfinity: true }),
    )
    const text = fc.string({ unit: 'binary' })
    const { tree } = fc.letrec<{ readonly tree: unknown }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        number,
        text,
        fc.constantFrom(null, true, false),
        fc.array(tie('tree'), { maxLength: 4 }),
        fc.dictionary(text, tie('tree'), { maxKeys: 5 }),
      ),
    }))
    const values = fc.sample(tree, 2_000)
    expect(values.map((value) => canonicalJson(value))).toEqual(askPython(values))
  })

  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'binary' }), fc.integer()), (value) => {
        const reversed = Object.fromEntries(Object.entries(value).reverse())
        expect(canonicalJson(reversed)).toBe(canonicalJson(value))
      }),
    )
  })

  it.each<readonly [string, unknown, string]>([
    ['NaN', { a: [Number.NaN] }, 'request.a[0]'],
    ['Infinity', Infinity, 'request'],
    ['undefined', undefined, 'request'],
    ['a hole', [undefined], 'request[0]'],
    ['a function', { f: () => 1 }, 'request.f'],
    ['a date', { d: new Date(0) }, 'request.d'],
    ['a map', new Map(), 'request'],
  ])('refuses %s', (_, value, field) => {
    expect(refusalOf(() => canonicalJson(value)).field).toBe(field)
  })

  it('refuses what is deeper than 64 levels, and takes 64', () => {
    const nest = (levels: number): unknown => (levels === 0 ? 1 : [nest(levels - 1)])
    expect(canonicalJson(nest(64))).toBe(`${'['.repeat(64)}1${']'.repeat(64)}`)
    expect(refusalOf(() => canonicalJson(nest(65))).expected).toBe('JSON of at most 64 levels')
  })
})
