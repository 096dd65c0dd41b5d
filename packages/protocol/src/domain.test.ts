import { TypedDataEncoder, Wallet } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as any from '../test/arbitraries.js'
import { refusalOf } from '../test/refusal.js'
import { domainSeparator, escrowDomain, structDigest, typedData, typedDigest } from './domain.js'
import { recoverSigner } from './signature.js'

const context = fc.record({ chainId: any.uint(256), escrow: any.address })

describe('domainSeparator', () => {
  it('is that of ethers, for any chain and escrow', () => {
    fc.assert(
      fc.property(context, (where) => {
        expect(domainSeparator(where)).toBe(TypedDataEncoder.hashDomain(escrowDomain(where)))
      }),
    )
  })

  it('names the member that does not fit', () => {
    const escrow = `0x${'11'.repeat(20)}` as const
    expect(refusalOf(() => domainSeparator({ chainId: -1n, escrow })).field).toBe('chainId')
    expect(refusalOf(() => domainSeparator({ chainId: 1n, escrow: '0x11' })).field).toBe('escrow')
  })
})

describe('structDigest', () => {
  it('is what a wallet signs from typedData', async () => {
    await fc.assert(
      fc.asyncProperty(context, any.settlementBatch, any.bytes32, async (where, value, key) => {
        const wallet = new Wallet(key)
        const data = typedData(where, { name: 'SettlementBatch', value })
        const signature = await wallet.signTypedData(data.domain, data.types, data.message)
        const digest = structDigest(domainSeparator(where), { name: 'SettlementBatch', value })
        expect(digest).toBe(TypedDataEncoder.hash(data.domain, data.types, data.message))
        expect(recoverSigner(digest, signature as `0x${string}`)).toBe(wallet.address)
        expect(TypedDataEncoder.from(data.types).primaryType).toBe(data.primaryType)
      }),
      { numRuns: 20 },
    )
  })

  it('differs from chain to chain and from escrow to escrow', () => {
    const value = { orderId: `0x${'11'.repeat(32)}`, expiresAt: 1 } as const
    const digestAt = (chainId: bigint, escrow: `0x${string}`) =>
      structDigest(domainSeparator({ chainId, escrow }), { name: 'CloseRequest', value })
    const [one, other] = [`0x${'11'.repeat(20)}`, `0x${'22'.repeat(20)}`] as const
    expect(new Set([digestAt(1n, one), digestAt(2n, one), digestAt(1n, other)]).size).toBe(3)
  })
})

describe('typedDigest', () => {
  it('refuses anything but 32 bytes', () => {
    const hash = `0x${'11'.repeat(32)}` as const
    expect(refusalOf(() => typedDigest('0x', hash)).field).toBe('domainSeparator')
    expect(refusalOf(() => typedDigest(hash, `${hash}00`)).field).toBe('structHash')
  })
})
