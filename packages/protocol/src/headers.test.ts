import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as any from '../test/arbitraries.js'
import { refusalOf, titled } from '../test/refusal.js'
import { toWire } from './codec.js'
import {
  MAX_HEADER_LENGTH,
  decodeReceiptEvent,
  decodeReceiptHeader,
  decodeRequestHeader,
  decodeVoucherHeader,
  encodeReceiptEvent,
  encodeReceiptHeader,
  encodeRequestHeader,
  encodeVoucherHeader,
} from './headers.js'
import type { SignedRequest } from './types.js'

const [signed] = fc.sample(any.signedRequest, { numRuns: 1, seed: 7 }) as [SignedRequest]
const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')

describe('headers', () => {
  it('carry every request, voucher and receipt', () => {
    fc.assert(
      fc.property(any.signedRequest, any.signedReceipt, any.signedVoucher, (request, receipt, voucher) => {
        expect(decodeVoucherHeader(encodeVoucherHeader(voucher))).toEqual(voucher)
        expect(decodeRequestHeader(encodeRequestHeader(request))).toEqual(request)
        expect(decodeReceiptHeader(encodeReceiptHeader(receipt))).toEqual(receipt)
        expect(encodeReceiptHeader(receipt)).toMatch(/^[A-Za-z0-9_-]+$/)
      }),
    )
  })

  it('names the member that is wrong', () => {
    const wire = toWire(signed)
    const bad = encode({ ...wire, request: { ...wire.request, maxFee: '-1' } })
    expect(refusalOf(() => decodeRequestHeader(bad)).field).toBe('x-opg-request.request.maxFee')
  })

  it.each([
    ['no header', undefined],
    ['an empty one', ''],
    ['two of them', [encodeRequestHeader(signed), encodeRequestHeader(signed)]],
    ['two of them joined', `${encodeRequestHeader(signed)}, ${encodeRequestHeader(signed)}`],
    ['plain JSON', JSON.stringify(toWire(signed))],
    ['standard base64 with padding', 'e30='],
    ['no JSON', encode({}).slice(1)],
    ['bytes that are no text', '_____w'],
    ['one character over the limit', 'A'.repeat(MAX_HEADER_LENGTH + 1)],
    ['megabytes', 'A'.repeat(5_000_000)],
  ])('refuse %s and name themselves', (_, value) => {
    expect(refusalOf(() => decodeRequestHeader(value)).field).toBe('x-opg-request')
    expect(refusalOf(() => decodeReceiptHeader(value)).field).toBe('x-opg-receipt')
  })

  it.each(['null', '[]', '1', '"x"'])('refuse the JSON %s', (json) => {
    const header = Buffer.from(json).toString('base64url')
    expect(refusalOf(() => decodeRequestHeader(header)).field).toBe('x-opg-request')
  })

  it('are not written longer than they are read', () => {
    const long = { ...signed, signature: `0x${'11'.repeat(4_000)}` } as const
    expect(refusalOf(() => encodeRequestHeader(long)).field).toBe('x-opg-request')
  })

  it('hold the longest signatures that are taken', () => {
    const longest = { ...signed, signature: `0x${'11'.repeat(2_048)}` } as const
    expect(decodeRequestHeader(encodeRequestHeader(longest))).toEqual(longest)
  })
})

describe('the receipt event', () => {
  it('is one event with one line of data that reads back', () => {
    fc.assert(
      fc.property(any.signedReceipt, (receipt) => {
        const match = /^event: receipt\ndata: ([^\n]*)\n\n$/.exec(encodeReceiptEvent(receipt))
        expect(decodeReceiptEvent(match?.[1] ?? '')).toEqual(receipt)
      }),
    )
  })

  it.each(titled(['', '[DONE]', '{', '{}', 'x'.repeat(MAX_HEADER_LENGTH + 1)]))('refuses the data %s', (_, data) => {
    expect(refusalOf(() => decodeReceiptEvent(data as string)).field).toMatch(/^receipt/)
  })
})
