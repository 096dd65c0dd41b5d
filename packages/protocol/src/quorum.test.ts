import { AbiCoder, keccak256 } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import * as any from '../test/arbitraries.js'
import { ZERO_ADDRESS } from './constants.js'
import { quorumKey } from './quorum.js'

const A = '0x00000000000000000000000000000000000000A1'
const B = '0x00000000000000000000000000000000000000b2'

describe('a quorum', () => {
  it('has the key that the contract computes, in whichever order it is given', () => {
    const validators = fc.uniqueArray(any.address, { minLength: 1, maxLength: 9, selector: BigInt })
    fc.assert(
      fc.property(validators, fc.nat(8), (all, least) => {
        const k = (least % all.length) + 1
        const sorted = [...all].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))
        const encoded = AbiCoder.defaultAbiCoder().encode(['uint256', 'address[]'], [k, sorted])
        fc.pre(BigInt(sorted[0] ?? 0) > 0n)
        expect(quorumKey({ k, validators: all })).toBe(keccak256(encoded))
        expect(quorumKey({ k, validators: [...all].reverse() })).toBe(keccak256(encoded))
      }),
    )
  })

  it.each([
    { k: 0, validators: [A, B] },
    { k: 3, validators: [A, B] },
    { k: 1.5, validators: [A, B] },
    { k: 1, validators: [] },
    { k: 1, validators: [A, B, A] },
    { k: 1, validators: [ZERO_ADDRESS, A] },
    { k: 1, validators: Array.from({ length: 256 }, (_, i) => `0x${(i + 1).toString(16).padStart(40, '0')}` as const) },
  ] as const)('is not %j', (quorum) => {
    expect(() => quorumKey(quorum)).toThrow(expect.objectContaining({ code: 'INVALID_INPUT' }))
  })
})
