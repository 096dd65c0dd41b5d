import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as any from '../test/arbitraries.js'
import { refusalOf } from '../test/refusal.js'
import { toWire } from './codec.js'
import {
  parseAllocation,
  parseCloseRequest,
  parseInferenceReceipt,
  parseInferenceRequest,
  parseOrder,
  parsePriceSheet,
  parseSettlement,
  parseSignedOrder,
  parseSignedReceipt,
  parseSignedRequest,
  parseSlice,
  parseTerms,
  parseVoucher,
} from './parse.js'

type Parse = (value: unknown) => unknown

const PARSERS: readonly (readonly [string, Parse, fc.Arbitrary<object>])[] = [
  ['Terms', parseTerms, any.terms],
  ['Order', parseOrder, any.order],
  ['SignedOrder', parseSignedOrder, any.signedOrder],
  ['InferenceRequest', parseInferenceRequest, any.request],
  ['SignedRequest', parseSignedRequest, any.signedRequest],
  ['InferenceReceipt', parseInferenceReceipt, any.receipt],
  ['SignedReceipt', parseSignedReceipt, any.signedReceipt],
  ['Settlement', parseSettlement, any.settlement],
  ['CloseRequest', parseCloseRequest, any.closeRequest],
  ['Voucher', parseVoucher, any.voucher],
  ['Allocation', parseAllocation, any.allocation],
  ['Slice', parseSlice, any.slice],
  [
    'PriceSheet',
    parsePriceSheet,
    fc.record({ perRequest: any.uint(96), inputPerMillion: any.uint(96), outputPerMillion: any.uint(96) }),
  ],
]

describe.each(PARSERS)('parse of %s', (_, parse, values) => {
  it('reads back what toWire wrote, through JSON', () => {
    fc.assert(
      fc.property(values, (value) => {
        expect(parse(JSON.parse(JSON.stringify(toWire(value))))).toEqual(value)
      }),
    )
  })

  it('refuses it without any one member, and with one more', () => {
    const [value] = fc.sample(values, { numRuns: 1, seed: 7 }) as [object]
    const wire = toWire(value) as Readonly<Record<string, unknown>>
    for (const key of Object.keys(wire)) {
      const rest = Object.fromEntries(Object.entries(wire).filter(([name]) => name !== key))
      expect(refusalOf(() => parse(rest)).field).toContain(key)
    }
    expect(refusalOf(() => parse({ ...wire, extra: 1 })).field).toContain('extra')
  })

  it('refuses anything else with an InvalidInputError, and never throws another', () => {
    fc.assert(
      fc.property(fc.oneof(fc.jsonValue(), fc.anything()), (value) => {
        expect(refusalOf(() => parse(value)).code).toBe('INVALID_INPUT')
      }),
    )
  })
})

describe('parseSignedOrder', () => {
  const [value] = fc.sample(any.signedOrder, { numRuns: 1, seed: 7 }) as [object]
  const wire = toWire(value) as { readonly order: { readonly job: object } }

  it.each([
    ['negative base units', { amount: '-5' }, 'order.amount'],
    ['fractional base units', { amount: '1.5' }, 'order.amount'],
    ['an amount as a number', { amount: 5 }, 'order.amount'],
    ['an amount of 97 bits', { amount: (2n ** 96n).toString() }, 'order.amount'],
    ['a nonce of 257 bits', { nonce: (2n ** 256n).toString() }, 'order.nonce'],
    ['a time as text', { claimBy: '5' }, 'order.claimBy'],
    ['a time of 41 bits', { claimBy: 2 ** 40 }, 'order.claimBy'],
    ['a bad checksum', { payer: '0xfbC2051AE2265686a469421b2C5A2D5462FbF5eB' }, 'order.payer'],
    ['a short request hash', { job: { ...wire.order.job, requestHash: '0x12' } }, 'order.job.requestHash'],
  ])('refuses %s by its path', (_, change, field) => {
    expect(refusalOf(() => parseSignedOrder({ ...wire, order: { ...wire.order, ...change } })).field).toBe(field)
  })

  it.each([63, 2049])('refuses a signature of %d bytes', (length) => {
    expect(refusalOf(() => parseSignedOrder({ ...wire, signature: `0x${'11'.repeat(length)}` })).field).toBe(
      'signature',
    )
  })
})

describe('parseSignedReceipt', () => {
  const [receipt] = fc.sample(any.receipt, { numRuns: 1, seed: 7 }) as [object]
  const teeId = `0x${'11'.repeat(32)}`
  const parse = (signer: unknown, bytes: number) => () =>
    parseSignedReceipt({ receipt: toWire(receipt), signature: `0x${'11'.repeat(bytes)}`, signer })

  it.each([64, 65])('takes ECDSA of %d bytes', (bytes) => {
    expect(parse({ kind: 'ecdsa' }, bytes)().signer.kind).toBe('ecdsa')
  })

  it.each([256, 384, 512])('takes RSA-PSS of %d bytes', (bytes) => {
    expect(parse({ kind: 'rsa-pss', teeId }, bytes)().signer.kind).toBe('rsa-pss')
  })

  it.each([
    ['ECDSA of 66 bytes', { kind: 'ecdsa' }, 66, 'signature'],
    ['ECDSA as long as RSA', { kind: 'ecdsa' }, 256, 'signature'],
    ['RSA-PSS as short as ECDSA', { kind: 'rsa-pss', teeId }, 65, 'signature'],
    ['RSA-PSS of 257 bytes', { kind: 'rsa-pss', teeId }, 257, 'signature'],
    ['RSA-PSS without its key', { kind: 'rsa-pss' }, 256, 'signer.teeId'],
    ['ECDSA with a TEE', { kind: 'ecdsa', teeId }, 65, 'signer.teeId'],
    ['an unknown kind', { kind: 'none' }, 65, 'signer.kind'],
    ['no kind', {}, 65, 'signer.kind'],
    ['no signer', null, 65, 'signer.kind'],
  ])('refuses %s', (_, signer, bytes, field) => {
    expect(refusalOf(parse(signer, bytes)).field).toBe(field)
  })
})
