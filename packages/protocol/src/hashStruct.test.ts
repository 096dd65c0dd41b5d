import { TypedDataEncoder } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as any from '../test/arbitraries.js'
import { refusalOf } from '../test/refusal.js'
import { typesFor } from './domain.js'
import { hashStruct, typeHash } from './hashStruct.js'
import { TYPES, encodeType, type StructName, type StructValues } from './structs.js'

const VALUES: { readonly [Name in StructName]: fc.Arbitrary<StructValues[Name]> } = {
  Terms: any.terms,
  Job: any.job,
  WorkOrder: fc.record({ terms: any.terms, job: any.job, claimBy: any.smallUint(40) }),
  InferenceRequest: any.request,
  InferenceReceipt: any.receipt,
  Settlement: any.settlement,
  SettlementBatch: any.settlementBatch,
  Voucher: any.voucher,
  CloseRequest: any.closeRequest,
  Allocation: fc.tuple(any.bytes32, any.allocation).map(([orderId, allocation]) => ({ orderId, ...allocation })),
  Offer: any.offer,
  LockAttempt: fc.record({ orderId: any.bytes32, attempt: any.bytes32 }),
}

const SETTLEMENT = {
  orderId: `0x${'11'.repeat(32)}`,
  cumulativeFee: 1n,
  receiptsRoot: `0x${'22'.repeat(32)}`,
  receiptCount: 1n,
}

const NAMES = Object.keys(TYPES) as StructName[]

describe('hashStruct', () => {
  it.each(NAMES)('hashes any %s as ethers does', (name) => {
    fc.assert(
      fc.property(VALUES[name], (value) => {
        expect(hashStruct(name, value)).toBe(TypedDataEncoder.hashStruct(name, typesFor(name), value))
      }),
    )
  })

  it.each(NAMES)('encodes the type of %s as ethers does', (name) => {
    expect(encodeType(name)).toBe(TypedDataEncoder.from(typesFor(name)).encodeType(name))
    expect(typeHash(name)).toMatch(/^0x[0-9a-f]{64}$/)
  })

  it('takes hexadecimal digits in either case', () => {
    const job = { requester: `0x${'ab'.repeat(20)}`, requestHash: `0x${'cd'.repeat(32)}` } as const
    const upper = { requester: `0x${'AB'.repeat(20)}`, requestHash: `0x${'CD'.repeat(32)}` } as const
    expect(hashStruct('Job', upper)).toBe(hashStruct('Job', job))
  })

  it('hashes rightly after a refusal, which leaves nothing behind', () => {
    const voucher = { orderId: `0x${'11'.repeat(32)}`, node: `0x${'22'.repeat(20)}`, maxCumulativeFee: 5n } as const
    const before = hashStruct('Voucher', voucher)
    expect(() =>
      hashStruct('Voucher', { ...voucher, orderId: `0x${'ff'.repeat(32)}`, maxCumulativeFee: -1n }),
    ).toThrow()
    expect(hashStruct('Voucher', voucher)).toBe(before)
  })

  it.each([
    ['a negative amount', { maxFee: -1n }, 'maxFee'],
    ['an amount of 97 bits', { maxFee: 2n ** 96n }, 'maxFee'],
    ['an amount as a number', { maxFee: 5 }, 'maxFee'],
    ['an amount as text', { maxFee: '5' }, 'maxFee'],
    ['an index of 65 bits', { index: 2n ** 64n }, 'index'],
    ['a fractional time', { expiresAt: 1.5 }, 'expiresAt'],
    ['a negative time', { expiresAt: -1 }, 'expiresAt'],
    ['a time of 41 bits', { expiresAt: 2 ** 40 }, 'expiresAt'],
    ['a time that is no number', { expiresAt: Number.NaN }, 'expiresAt'],
    ['a time as bigint', { expiresAt: 5n }, 'expiresAt'],
    ['a short address', { node: '0x1234' }, 'node'],
    ['an address with a character that is no digit', { node: `0x${'g'.repeat(40)}` }, 'node'],
    ['a hash without 0x', { requestHash: '11'.repeat(33) }, 'requestHash'],
    ['a hash of 33 bytes', { requestHash: `0x${'11'.repeat(33)}` }, 'requestHash'],
    ['a missing member', { orderId: undefined }, 'orderId'],
  ])('refuses %s and names the member', (_, change, member) => {
    const request = {
      orderId: `0x${'11'.repeat(32)}`,
      node: `0x${'22'.repeat(20)}`,
      index: 0n,
      requestHash: `0x${'33'.repeat(32)}`,
      maxFee: 1n,
      expiresAt: 1,
      ...change,
    } as StructValues['InferenceRequest']
    expect(refusalOf(() => hashStruct('InferenceRequest', request)).field).toBe(`InferenceRequest.${member}`)
  })

  const batches: readonly (readonly [string, unknown, string])[] = [
    ['settlements that are no array', 'none', 'SettlementBatch.settlements'],
    ['a settlement that is no object', [null], 'Settlement'],
    ['a settlement without its members', [{ close: true }], 'Settlement.orderId'],
    ['a close that is no boolean', [{ ...SETTLEMENT, close: 1 }], 'Settlement.close'],
  ]
  it.each(batches)('refuses %s', (_, settlements, field) => {
    const batch = { node: `0x${'22'.repeat(20)}`, evidenceKey: `0x${'33'.repeat(32)}`, settlements }
    expect(refusalOf(() => hashStruct('SettlementBatch', batch as StructValues['SettlementBatch'])).field).toBe(field)
  })
})
