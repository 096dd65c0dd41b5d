import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { lowestFree } from './nextPermit2Nonce.js'

describe('lowestFree', () => {
  it('gives the lowest nonce that is neither used nor in flight', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: 0n, max: 2n ** 256n - 1n }),
        fc.bigInt({ min: 0n, max: 2n ** 248n - 1n }),
        fc.array(fc.bigInt({ min: 0n, max: 255n })),
        (used, word, bits) => {
          const inFlight = new Set(bits.map((bit) => word * 256n + bit))
          const isFree = (bit: bigint): boolean => ((used >> bit) & 1n) === 0n && !inFlight.has(word * 256n + bit)
          const found = lowestFree({ word, used, inFlight })
          const all = Array.from({ length: 256 }, (_, i) => BigInt(i))
          expect(found).toBe(all.filter(isFree).map((bit) => word * 256n + bit)[0])
        },
      ),
    )
  })

  it('gives none where the word is full', () => {
    expect(lowestFree({ word: 3n, used: 2n ** 256n - 1n, inFlight: new Set() })).toBeUndefined()
  })
})
