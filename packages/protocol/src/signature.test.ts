import { SigningKey, computeAddress, toBeHex } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytes32, hexOf } from '../test/arbitraries.js'
import { recoverSigner } from './signature.js'
import type { Hex } from './types.js'

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const key = new SigningKey(`0x${'11'.repeat(32)}`)
const digest: Hex = `0x${'22'.repeat(32)}`
const signed = key.sign(digest)
const { r, s, v, serialized } = signed
const word = (value: bigint) => toBeHex(value, 32).slice(2)
const join = (...parts: string[]): Hex => `0x${parts.map((part) => part.replace('0x', '')).join('')}`

describe('recoverSigner', () => {
  it('finds who signed, from 65 bytes and from 64 (EIP-2098), with the checksum', () => {
    fc.assert(
      fc.property(bytes32, bytes32, (secret, message) => {
        const signer = new SigningKey(secret)
        const signature = signer.sign(message)
        expect(recoverSigner(message, signature.serialized as Hex)).toBe(computeAddress(signer.publicKey))
        expect(recoverSigner(message, signature.compactSerialized as Hex)).toBe(computeAddress(signer.publicKey))
      }),
    )
  })

  it('finds somebody else for another digest', () => {
    expect(recoverSigner(`0x${'23'.repeat(32)}`, serialized as Hex)).not.toBe(computeAddress(key.publicKey))
  })

  it('refuses the twin with a high s (EIP-2)', () => {
    const twin = join(r, word(ORDER - BigInt(s)), toBeHex(v === 27 ? 28 : 27))
    expect(recoverSigner(digest, twin)).toBeUndefined()
  })

  it('takes s up to half the order, and no further', () => {
    const half = ORDER / 2n
    expect(recoverSigner(digest, join(r, word(half), '1b'))).toMatch(/^0x/)
    expect(recoverSigner(digest, join(r, word(half + 1n), '1b'))).toBeUndefined()
  })

  it.each([0, 1, 2, 26, 29, 30, 35, 255])('refuses v = %d', (other) => {
    expect(recoverSigner(digest, join(r, s, toBeHex(other, 1)))).toBeUndefined()
  })

  const broken: readonly (readonly [string, Hex])[] = [
    ['r = 0', join(word(0n), s, '1b')],
    ['s = 0', join(r, word(0n), '1b')],
    ['r at the order', join(word(ORDER), s, '1b')],
    ['r of no point', join(word(5n), s, '1b')],
    ['nothing', '0x'],
    ['63 bytes', join(serialized).slice(0, 2 + 126) as Hex],
    ['66 bytes', `${serialized}00` as Hex],
    ['half a byte', `${serialized}0` as Hex],
    ['no prefix', serialized.slice(2) as Hex],
    ['an upper-case prefix', `0X${serialized.slice(2)}` as Hex],
    ['a character that is no digit', `${serialized.slice(0, -1)}g` as Hex],
  ]
  it.each(broken)('refuses a signature with %s', (_, signature) => {
    expect(recoverSigner(digest, signature)).toBeUndefined()
  })

  it.each(['0x', `0x${'22'.repeat(31)}`, `0x${'22'.repeat(33)}`, '22'.repeat(33)])('refuses the digest %s', (other) => {
    expect(recoverSigner(other as Hex, serialized as Hex)).toBeUndefined()
  })

  it('never throws on bytes', () => {
    fc.assert(
      fc.property(bytes32, hexOf(0, 80), (message, signature) => {
        expect(() => recoverSigner(message, signature)).not.toThrow()
      }),
    )
  })
})
