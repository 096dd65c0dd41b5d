import { AbiCoder, id, keccak256 } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as any from '../test/arbitraries.js'
import { refusalOf } from '../test/refusal.js'
import { hashStruct } from './hashStruct.js'
import { modelId, orderId, orderSeed, requestId, termsHash, workOrderHash, workOrderOf } from './ids.js'
import type { Order, Terms } from './types.js'

const abi = AbiCoder.defaultAbiCoder()
const A = `0x${'11'.repeat(20)}` as const
const B = `0x${'22'.repeat(20)}` as const
const H = `0x${'33'.repeat(32)}` as const
const G = `0x${'44'.repeat(32)}` as const
const terms: Terms = { node: A, facilitator: A, facilitatorBps: 1, verifier: A, evidenceKey: H, modelId: H }
const order: Order = { payer: A, nonce: 1n, amount: 1n, job: { requester: A, requestHash: H }, claimBy: 1 }
const seed = orderSeed({ chainId: 1n, escrow: A })

describe('orderId', () => {
  it('is the hash of what the specification lists, for any order', () => {
    fc.assert(
      fc.property(any.uint(256), any.address, any.terms, any.order, (chainId, escrow, someTerms, someOrder) => {
        const someSeed = keccak256(
          abi.encode(['bytes32', 'uint256', 'address'], [id('InferenceEscrow.order'), chainId, escrow]),
        )
        const workOrder = hashStruct('WorkOrder', workOrderOf(someTerms, someOrder))
        const expected = keccak256(
          abi.encode(
            ['bytes32', 'address', 'uint256', 'uint96', 'bytes32'],
            [someSeed, someOrder.payer, someOrder.nonce, someOrder.amount, workOrder],
          ),
        )
        expect(workOrderHash(someTerms, someOrder)).toBe(workOrder)
        expect(orderId({ seed: orderSeed({ chainId, escrow }), terms: someTerms, order: someOrder })).toBe(expected)
      }),
    )
  })

  it('takes the hash of the terms in their place', () => {
    expect(orderId({ seed, terms: termsHash(terms), order })).toBe(orderId({ seed, terms, order }))
  })

  const changed: readonly (readonly [string, Partial<Terms>, Partial<Order>])[] = [
    ['node', { node: B }, {}],
    ['facilitator', { facilitator: B }, {}],
    ['facilitatorBps', { facilitatorBps: 2 }, {}],
    ['verifier', { verifier: B }, {}],
    ['evidenceKey', { evidenceKey: G }, {}],
    ['modelId', { modelId: G }, {}],
    ['payer', {}, { payer: B }],
    ['nonce', {}, { nonce: 2n }],
    ['amount', {}, { amount: 2n }],
    ['requester', {}, { job: { ...order.job, requester: B } }],
    ['requestHash', {}, { job: { ...order.job, requestHash: G } }],
    ['claimBy', {}, { claimBy: 2 }],
  ]
  it.each(changed)('commits to %s', (_, otherTerms, otherOrder) => {
    const other = orderId({ seed, terms: { ...terms, ...otherTerms }, order: { ...order, ...otherOrder } })
    expect(other).not.toBe(orderId({ seed, terms, order }))
  })

  it('commits to the chain id at deployment and to the escrow (F18: a chain that renumbers strands nothing)', () => {
    expect(orderSeed({ chainId: 2n, escrow: A })).not.toBe(seed)
    expect(orderSeed({ chainId: 1n, escrow: B })).not.toBe(seed)
  })

  it('names the member that does not fit', () => {
    expect(refusalOf(() => orderId({ seed, terms, order: { ...order, amount: 2n ** 96n } })).field).toBe('amount')
    expect(refusalOf(() => orderId({ seed, terms, order: { ...order, nonce: -1n } })).field).toBe('nonce')
    expect(refusalOf(() => orderId({ seed, terms, order: { ...order, claimBy: 0.5 } })).field).toBe('claimBy')
    expect(refusalOf(() => orderId({ seed: '0x', terms, order })).field).toBe('seed')
  })
})

describe('requestId', () => {
  it('is the struct hash, so no form of a signature is an identity (F21)', () => {
    fc.assert(
      fc.property(any.request, (request) => {
        expect(requestId(request)).toBe(hashStruct('InferenceRequest', request))
      }),
    )
  })
})

describe('modelId', () => {
  it('is the hash of the ABI encoding, for any registrant and name', () => {
    fc.assert(
      fc.property(any.address, fc.string({ unit: 'grapheme', maxLength: 100 }), (registrant, name) => {
        expect(modelId({ registrant, name })).toBe(keccak256(abi.encode(['address', 'string'], [registrant, name])))
      }),
    )
  })
})
