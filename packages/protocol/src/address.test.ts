import { getAddress } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hexOf } from '../test/arbitraries.js'
import { checksumAddress } from './address.js'

describe('checksumAddress', () => {
  it('is that of EIP-55, from digits in either case', () => {
    fc.assert(
      fc.property(hexOf(20), (hex) => {
        expect(checksumAddress(hex.slice(2))).toBe(getAddress(hex))
        expect(checksumAddress(hex.slice(2).toUpperCase())).toBe(getAddress(hex))
      }),
    )
  })
})
