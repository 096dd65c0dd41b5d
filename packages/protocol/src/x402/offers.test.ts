import { AbiCoder, TypedDataEncoder, getCreate2Address } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as any from '../../test/arbitraries.js'
import { PERMIT2, ZERO_BYTES32 } from '../constants.js'
import { deskAddress, offerHash, uptoDigest, uptoFundingData, uptoOrder, uptoTypedData } from './offers.js'

// As x402 2.27 publishes them for `upto`.
const UPTO_TYPES = {
  PermitWitnessTransferFrom: [
    { name: 'permitted', type: 'TokenPermissions' },
    { name: 'spender', type: 'address' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
    { name: 'witness', type: 'Witness' },
  ],
  TokenPermissions: [
    { name: 'token', type: 'address' },
    { name: 'amount', type: 'uint256' },
  ],
  Witness: [
    { name: 'to', type: 'address' },
    { name: 'facilitator', type: 'address' },
    { name: 'validAfter', type: 'uint256' },
  ],
}

describe('upto offers', () => {
  it('have their desks where CREATE2 puts them', () => {
    fc.assert(
      fc.property(any.offer, any.address, any.bytes32, (offer, adapter, initCodeHash) => {
        const expected = getCreate2Address(adapter, offerHash(offer), initCodeHash)
        expect(deskAddress({ adapter, initCodeHash, offer })).toBe(expected)
      }),
    )
  })

  it('are signed as a stock client signs them', () => {
    fc.assert(
      fc.property(any.uptoAuthorization, any.uint(63), (authorization, chainId) => {
        const { token, amount, spender, nonce, deadline, to, facilitator, validAfter } = authorization
        const expected = TypedDataEncoder.hash({ name: 'Permit2', chainId, verifyingContract: PERMIT2 }, UPTO_TYPES, {
          permitted: { token, amount },
          spender,
          nonce,
          deadline,
          witness: { to, facilitator, validAfter },
        })
        expect(uptoDigest(chainId, authorization)).toBe(expected)
      }),
    )
  })

  it('are typed data that hashes to what is checked', () => {
    fc.assert(
      fc.property(any.uptoAuthorization, any.uint(63), (authorization, chainId) => {
        const { domain, types, message } = uptoTypedData(chainId, authorization)
        expect(TypedDataEncoder.hash(domain, types, message)).toBe(uptoDigest(chainId, authorization))
        expect(types).toEqual(UPTO_TYPES)
      }),
    )
  })

  it('encode what the adapter takes', () => {
    fc.assert(
      fc.property(any.smallUint(32), any.uint(256), any.hexOf(64, 200), (claimWindow, validAfter, signature) => {
        const expected = AbiCoder.defaultAbiCoder().encode(
          ['uint32', 'uint256', 'bytes'],
          [claimWindow, validAfter, signature],
        )
        expect(uptoFundingData({ claimWindow, validAfter, signature })).toBe(expected)
      }),
    )
  })

  it('make the order of what was signed, its time counted from the signed deadline', () => {
    fc.assert(
      fc.property(any.uptoAuthorization, any.offer, (authorization, offer) => {
        const order = uptoOrder({ ...offer, claimWindow: 3_600 }, { ...authorization, deadline: 1_800_000_000n })
        expect(order).toEqual({
          payer: authorization.from,
          nonce: authorization.nonce,
          amount: authorization.amount,
          job: { requester: authorization.from, requestHash: ZERO_BYTES32 },
          claimBy: 1_800_003_600,
        })
        expect(() => uptoOrder(offer, { ...authorization, deadline: 2n ** 40n })).toThrow(/deadline/)
      }),
    )
  })
})
