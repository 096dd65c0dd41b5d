import { expect } from 'chai'
import type { BaseContract, BytesLike } from 'ethers'

import { deploy } from '../support/fixture'
import {
  encodePss,
  mHashWithZeroInFront,
  newRsaKey,
  type PssDefect,
  type RsaKey,
  sha256,
  signEncoded,
  signPss,
  signUnderPrime,
  toBytes,
  toInteger,
} from './pss'
import { isSupported, type PssGroup, pssGroups } from './wycheproof'

interface HarnessCalls {
  verify(modulus: BytesLike, mHash: BytesLike, signature: BytesLike): Promise<boolean>
  verifyDigest(modulus: BytesLike, digest: BytesLike, signature: BytesLike): Promise<boolean>
  verifyMessage(der: BytesLike, message: BytesLike, signature: BytesLike): Promise<boolean>
}

const SIZES = [2048, 3072, 4096] as const

describe('RsaPss', () => {
  const digest = sha256(Buffer.from('digest'))
  const mHash = sha256(digest)
  const keys = new Map<number, RsaKey>()
  let rsa: BaseContract & HarnessCalls

  before(async () => {
    rsa = await deploy<BaseContract & HarnessCalls>('RsaPssHarness')
    for (const size of SIZES) keys.set(size, newRsaKey(size))
  })

  const keyOf = (size: number): RsaKey => keys.get(size) ?? newRsaKey(size)

  describe("Wycheproof's vectors", () => {
    const groups = pssGroups()

    /** The identities of the vectors on which verdict and expectation differ. */
    async function mismatches(of: readonly PssGroup[], expected: (result: string) => boolean): Promise<string[]> {
      const wrong: string[] = []
      for (const group of of) {
        for (const vector of group.tests) {
          const verdict = await rsa.verifyMessage(`0x${group.publicKeyDer}`, `0x${vector.msg}`, `0x${vector.sig}`)
          if (verdict !== expected(vector.result)) {
            wrong.push(
              `${group.file} sLen ${String(group.sLen)} #${String(vector.tcId)} ${vector.result}: ${vector.comment}`,
            )
          }
        }
      }
      return wrong
    }

    // The whole of the supported sets: so a file that goes missing, or is cut, fails here.
    for (const [file, count] of [
      ['rsa_pss_2048_sha256_mgf1_32_test.json', 108],
      ['rsa_pss_3072_sha256_mgf1_32_test.json', 108],
      ['rsa_pss_4096_sha256_mgf1_32_test.json', 108],
      ['rsa_pss_misc_test.json', 1],
    ] as const) {
      it(`agrees with each of the ${String(count)} vectors of ${file} with SHA-256, MGF1-SHA-256 and salt 32`, async () => {
        const supported = groups.filter((group) => group.file === file && isSupported(group))
        expect(supported.flatMap((group) => group.tests)).to.have.lengthOf(count)
        // "acceptable" means that a verifier may choose: none of these vectors leaves it open.
        expect(supported.flatMap((group) => group.tests).filter((vector) => vector.result === 'acceptable')).to.be.empty
        expect(await mismatches(supported, (result) => result === 'valid')).to.deep.equal([])
      })
    }

    it('refuses every vector of every other set of parameters, the valid ones too', async () => {
      const others = groups.filter((group) => !isSupported(group))
      expect(others.flatMap((group) => group.tests).filter((vector) => vector.result === 'valid')).to.have.lengthOf(384)
      // One vector is invalid in its own set because it has our parameters in place of that set's: a good signature here.
      expect(await mismatches(others, () => false)).to.deep.equal([
        'rsa_pss_2048_sha256_mgf1_0_test.json sLen 0 #69 invalid: s_len changed to 32',
      ])
    })
  })

  for (const size of SIZES) {
    context(`when the key has ${String(size)} bits`, () => {
      const k = size / 8
      const judge = (defect: PssDefect): Promise<boolean> =>
        rsa.verify(keyOf(size).modulus, mHash, signEncoded(keyOf(size), encodePss(k, mHash, defect)))

      it('accepts what node:crypto signs over a digest', async () => {
        const key = keyOf(size)
        expect(await rsa.verifyDigest(key.modulus, digest, signPss(key, digest))).to.equal(true)
        expect(await rsa.verify(key.modulus, mHash, signPss(key, digest))).to.equal(true)
      })

      it('accepts an encoding made here without a defect', async () => {
        expect(await judge({})).to.equal(true)
      })

      it('refuses another digest, and another key', async () => {
        const key = keyOf(size)
        const signature = signPss(key, digest)
        expect(await rsa.verifyDigest(key.modulus, sha256(digest), signature)).to.equal(false)
        expect(await rsa.verifyDigest(newRsaKey(size).modulus, digest, signature)).to.equal(false)
      })

      it('refuses salts of 0, 31 and 33 bytes, and of the greatest length', async () => {
        const key = keyOf(size)
        for (const saltLength of [0, 31, 33, k - 34]) {
          expect(
            await rsa.verifyDigest(key.modulus, digest, signPss(key, digest, saltLength)),
            String(saltLength),
          ).to.equal(false)
        }
      })

      it('refuses one bit in PS, in each of its bytes', async () => {
        for (let at = 0; at < k - 66; at++) {
          // The top bit of the first byte is not part of the block.
          const block = (bytes: Buffer): void => void (bytes[at] = at === 0 ? 0x40 : at % 2 === 0 ? 0x80 : 0x01)
          expect(await judge({ block }), `byte ${String(at)}`).to.equal(false)
        }
      })

      it('refuses a border other than 0x01, or in another place', async () => {
        for (const border of [0x00, 0x02, 0x81, 0xff]) {
          expect(await judge({ block: (bytes) => void (bytes[k - 66] = border) }), String(border)).to.equal(false)
        }
        // One byte early and the salt one longer; one byte late and the salt one shorter.
        expect(await judge({ block: (bytes) => void (bytes[k - 67] = 1) })).to.equal(false)
        const late = (bytes: Uint8Array): void => {
          bytes.set([0, 1], k - 66)
        }
        expect(await judge({ block: late })).to.equal(false)
      })

      it('refuses a salt that the hash does not cover, at its first and last byte', async () => {
        for (const at of [k - 65, k - 34]) {
          expect(await judge({ block: (bytes) => void (bytes[at] = 0) }), String(at)).to.equal(false)
        }
      })

      it('refuses a trailer other than 0xbc', async () => {
        for (const trailer of [0x00, 0xbd, 0xcc, 0x3c]) {
          expect(await judge({ encoded: (bytes) => void (bytes[k - 1] = trailer) }), String(trailer)).to.equal(false)
        }
      })

      it('refuses H with one bit changed, at its first and last byte', async () => {
        for (const at of [k - 33, k - 2]) {
          expect(await judge({ encoded: (bytes) => void (bytes[at] = (bytes[at] ?? 0) ^ 1) }), String(at)).to.equal(
            false,
          )
        }
      })

      it('refuses an encoding whose top bit is set', async () => {
        const key = keyOf(size)
        const zeroInFront = mHashWithZeroInFront(k)
        for (const [first, verdict] of [
          [0x00, true],
          [0x80, false],
        ] as const) {
          const encoded = encodePss(k, zeroInFront, { encoded: (bytes) => void (bytes[0] = first) })
          expect(await rsa.verify(key.modulus, zeroInFront, signEncoded(key, encoded)), String(first)).to.equal(verdict)
        }
      })

      it('refuses s + n, the second signature that the arithmetic would allow', async () => {
        const key = keyOf(size)
        const n = toInteger(key.modulus)
        const room = 1n << BigInt(size)
        let s: bigint
        do s = toInteger(signPss(key, digest))
        while (s + n >= room)
        expect(await rsa.verifyDigest(key.modulus, digest, toBytes(s, k))).to.equal(true)
        expect(await rsa.verifyDigest(key.modulus, digest, toBytes(s + n, k))).to.equal(false)
      })

      it('refuses 0, 1, n - 1 and n as signatures', async () => {
        const key = keyOf(size)
        const n = toInteger(key.modulus)
        for (const s of [0n, 1n, n - 1n, n]) {
          expect(await rsa.verifyDigest(key.modulus, digest, toBytes(s, k))).to.equal(false)
        }
      })

      it('refuses a signature with a zero in front, a byte behind, a byte less, or none', async () => {
        const key = keyOf(size)
        const signature = signPss(key, digest)
        const zero = Buffer.of(0)
        for (const forged of [
          Buffer.concat([zero, signature]),
          Buffer.concat([signature, zero]),
          Buffer.concat([Buffer.alloc(32), signature]),
          signature.subarray(0, k - 1),
          signature.subarray(1),
          zero.subarray(1),
        ]) {
          expect(await rsa.verifyDigest(key.modulus, digest, forged), String(forged.length)).to.equal(false)
        }
      })
    })
  }

  describe('forged moduli', () => {
    it('refuses a modulus whose length was chosen to fit a forged signature', async () => {
      const key = keyOf(2048)
      // A short modulus that the forger can factor, alone and padded to a length that is allowed.
      const weak = newRsaKey(1024)
      const signature = signPss(weak, digest)
      expect(await rsa.verifyDigest(weak.modulus, digest, signature)).to.equal(false)
      const padding = Buffer.alloc(128)
      const padded = Buffer.concat([padding, weak.modulus])
      expect(await rsa.verifyDigest(padded, digest, Buffer.concat([padding, signature]))).to.equal(false)
      // The key's own modulus, cut to the length of the signature, or the signature to it.
      expect(await rsa.verifyDigest(key.modulus, digest, signature)).to.equal(false)
      expect(await rsa.verifyDigest(key.modulus.subarray(0, 128), digest, signature)).to.equal(false)
      expect(await rsa.verifyDigest(keyOf(4096).modulus, digest, signPss(key, digest))).to.equal(false)
      expect(await rsa.verifyDigest(key.modulus, digest, signPss(keyOf(4096), digest))).to.equal(false)
    })

    it('refuses moduli of 1024, 2040, 2047, 2049, 2056, 2560, 3080 and 8192 bits', async () => {
      for (const size of [1024, 2040, 2047, 2056, 2560, 3080]) {
        const key = newRsaKey(size)
        expect(await rsa.verifyDigest(key.modulus, digest, signPss(key, digest)), String(size)).to.equal(false)
      }
      const { modulus, signature } = signUnderPrime({ bits: 2049, times: 1 }, encodePss(256, mHash))
      expect(await rsa.verify(modulus, mHash, signature)).to.equal(false)
      const long = Buffer.alloc(1024, 0xff)
      expect(await rsa.verifyDigest(long, digest, Buffer.alloc(1024, 1))).to.equal(false)
    })

    it('refuses an empty modulus with an empty signature', async () => {
      expect(await rsa.verifyDigest('0x', digest, '0x')).to.equal(false)
    })

    it('refuses an even modulus even where the arithmetic comes out right', async () => {
      const odd = signUnderPrime({ bits: 2048, times: 1 }, encodePss(256, mHash))
      expect(await rsa.verify(odd.modulus, mHash, odd.signature)).to.equal(true)
      const even = signUnderPrime({ bits: 2047, times: 2 }, encodePss(256, mHash))
      expect(await rsa.verify(even.modulus, mHash, even.signature)).to.equal(false)
    })
  })
})
