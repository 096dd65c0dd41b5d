import { AbiCoder, hexlify } from 'ethers'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { address, bytes32, smallUint, uint } from '../test/arbitraries.js'
import { Words, bytesOfHex } from './words.js'

const abi = AbiCoder.defaultAbiCoder()

interface Write {
  readonly type: string
  readonly value: unknown
  readonly into: (words: Words) => void
}

const write: fc.Arbitrary<Write> = fc.oneof(
  fc
    .constantFrom(56, 64, 96, 128, 136, 192, 256)
    .chain((bits) => uint(bits).map((value) => ({ bits, value })))
    .map(({ bits, value }) => ({
      type: `uint${String(bits)}`,
      value,
      into: (words: Words) => {
        words.writeUint(0, value, { bits, field: 'x' })
      },
    })),
  smallUint(40).map((value) => ({
    type: 'uint40',
    value,
    into: (words: Words) => {
      words.writeUint(0, value, { bits: 40, field: 'x' })
    },
  })),
  address.map((value) => ({
    type: 'address',
    value,
    into: (words: Words) => {
      words.writeHex(0, value, { length: 20, field: 'x' })
    },
  })),
  bytes32.map((value) => ({
    type: 'bytes32',
    value,
    into: (words: Words) => {
      words.writeHex(0, value, { length: 32, field: 'x' })
    },
  })),
  fc.boolean().map((value) => ({
    type: 'bool',
    value,
    into: (words: Words) => {
      words.writeBool(0, value, 'x')
    },
  })),
)

describe('Words', () => {
  it('holds what the ABI says, whatever stood in the word before', () => {
    const words = new Words(1)
    fc.assert(
      fc.property(write, ({ type, value, into }) => {
        words.bytes.fill(0xff)
        into(words)
        expect(hexlify(words.bytes)).toBe(abi.encode([type], [value]))
      }),
      { numRuns: 500 },
    )
  })
})

describe('bytesOfHex', () => {
  it('reads pairs of digits in either case, and nothing else', () => {
    expect(bytesOfHex('0x')).toEqual(new Uint8Array())
    expect(bytesOfHex('0x09aFAf')).toEqual(Uint8Array.of(0x09, 0xaf, 0xaf))
    for (const text of ['', '0', '0x1', '09af', '0X09', '0x0g', '0x :', '0x`a', '0x/0', '0x@@']) {
      expect(bytesOfHex(text)).toBeUndefined()
    }
  })
})
