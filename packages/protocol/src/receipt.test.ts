import { TypedDataEncoder, concat, keccak256 } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as any from '../test/arbitraries.js'
import { domainSeparator, typedData } from './domain.js'
import { hashStruct } from './hashStruct.js'
import { receiptDigest, receiptLeaf } from './receipt.js'

describe('a receipt', () => {
  it('has the leaf and the digest of the specification', () => {
    const context = { chainId: 31337n, escrow: `0x${'11'.repeat(20)}` } as const
    fc.assert(
      fc.property(any.receipt, (receipt) => {
        const data = typedData(context, { name: 'InferenceReceipt', value: receipt })
        expect(receiptLeaf(receipt)).toBe(keccak256(concat(['0x00', hashStruct('InferenceReceipt', receipt)])))
        expect(receiptDigest(domainSeparator(context), receipt)).toBe(
          TypedDataEncoder.hash(data.domain, data.types, data.message),
        )
      }),
    )
  })
})
