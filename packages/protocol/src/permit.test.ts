import { TypedDataEncoder, Wallet } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as any from '../test/arbitraries.js'
import { refusalOf } from '../test/refusal.js'
import { termsHash, workOrderOf } from './ids.js'
import { workOrderPermit, workOrderPermitDigest, type WorkOrderPermit } from './permit.js'
import { recoverSigner } from './signature.js'

const permit: fc.Arbitrary<WorkOrderPermit> = fc.record({
  chainId: any.uint(53),
  escrow: any.address,
  token: any.address,
  terms: any.terms,
  order: any.order,
  deadline: any.uint(256),
})
const [sample] = fc.sample(permit, { numRuns: 1, seed: 1 }) as [WorkOrderPermit]

describe('workOrderPermitDigest', () => {
  it('is the digest of the typed data that the Permit2 SDK builds, for any order', () => {
    fc.assert(
      fc.property(permit, (some) => {
        const data = workOrderPermit(some)
        const digest = TypedDataEncoder.hash(data.domain, data.types, data.message)
        expect(workOrderPermitDigest(some)).toBe(digest)
        expect(workOrderPermitDigest({ ...some, terms: termsHash(some.terms) })).toBe(digest)
      }),
    )
  })
})

describe('workOrderPermit', () => {
  it('is signed by an ethers wallet as it is', async () => {
    const wallet = Wallet.createRandom()
    const { domain, types, message } = workOrderPermit(sample)
    const signature = (await wallet.signTypedData(domain, types, message)) as `0x${string}`
    expect(recoverSigner(workOrderPermitDigest(sample), signature)).toBe(wallet.address)
  })

  it('shows the wallet the money, the spender and every term', () => {
    const { order, terms, escrow, token, deadline } = sample
    expect(workOrderPermit(sample)).toMatchObject({
      primaryType: 'PermitWitnessTransferFrom',
      message: {
        permitted: { token, amount: order.amount },
        spender: escrow,
        nonce: order.nonce,
        deadline,
        witness: workOrderOf(terms, order),
      },
    })
  })

  it.each([
    ['an amount of 97 bits', { order: { ...sample.order, amount: 2n ** 96n } }, 'amount'],
    ['a negative nonce', { order: { ...sample.order, nonce: -1n } }, 'order.nonce'],
    ['a deadline of 257 bits', { deadline: 2n ** 256n }, 'deadline'],
    ['a token that is no address', { token: '0x12' as const }, 'token'],
    ['a chain id that JavaScript rounds', { chainId: 2n ** 53n }, 'chainId'],
  ])('refuses %s', (_, change, field) => {
    expect(refusalOf(() => workOrderPermit({ ...sample, ...change })).field).toBe(field)
  })
})
