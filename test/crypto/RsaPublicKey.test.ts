import { expect } from 'chai'
import { type BaseContract, type BytesLike, hexlify, type Interface } from 'ethers'
import { deploy } from '../support/fixture'
import { generateKeyPairSync } from 'node:crypto'

import { derOf, newRsaKey } from './pss'

interface HarnessCalls {
  readonly interface: Interface
  modulusOf(der: BytesLike): Promise<string>
}

const HEAD = 33

describe('RsaPublicKey', () => {
  const key = newRsaKey(2048)
  let rsa: BaseContract & HarnessCalls

  before(async () => {
    rsa = await deploy<BaseContract & HarnessCalls>('RsaPssHarness')
  })

  /** The key with one edit. */
  function edited(edit: (der: Buffer) => Buffer | undefined): Buffer {
    const der = Buffer.from(key.der)
    return edit(der) ?? der
  }

  async function expectRefused(der: Buffer, error: string): Promise<void> {
    await expect(rsa.modulusOf(der)).to.be.revertedWithCustomError(rsa, error)
  }

  for (const size of [2048, 3072, 4096]) {
    it(`reads the modulus of a key of ${String(size)} bits`, async () => {
      const { der, modulus } = newRsaKey(size)
      expect(await rsa.modulusOf(der)).to.equal(hexlify(modulus))
    })
  }

  for (const size of [1024, 2040, 2047, 2056, 2560, 3064, 3080]) {
    it(`refuses a key of ${String(size)} bits`, async () => {
      await expect(rsa.modulusOf(newRsaKey(size).der)).to.be.reverted
    })
  }

  it('refuses a key of 2049 bits', async () => {
    // As long as a key of 2048 bits, since it needs no sign byte.
    const der = derOf(Buffer.concat([Buffer.of(1), key.modulus]))
    expect(der).to.have.lengthOf(key.der.length)
    await expectRefused(der, 'RsaKeyNotCanonical')
  })

  it('refuses bytes behind the key, or a byte missing', async () => {
    await expectRefused(Buffer.concat([key.der, Buffer.of(0)]), 'RsaKeyLengthUnsupported')
    await expectRefused(key.der.subarray(0, -1), 'RsaKeyLengthUnsupported')
    await expectRefused(Buffer.alloc(0), 'RsaKeyLengthUnsupported')
    // As many bytes behind as make it as long as a longer key.
    await expectRefused(Buffer.concat([key.der, Buffer.alloc(128)]), 'RsaKeyNotCanonical')
  })

  it('refuses every bit changed in the bytes around the modulus', async () => {
    for (const at of [...Array(HEAD).keys(), ...Array.from({ length: 5 }, (_, i) => key.der.length - 1 - i)]) {
      for (let bit = 0; bit < 8; bit++) {
        await expectRefused(
          edited((der) => void (der[at] = (der[at] ?? 0) ^ (1 << bit))),
          'RsaKeyNotCanonical',
        )
      }
    }
  })

  it('refuses exponents other than 65537', async () => {
    await expectRefused(newRsaKey(2048, 3).der, 'RsaKeyLengthUnsupported')
    await expectRefused(newRsaKey(2048, 65_539).der, 'RsaKeyNotCanonical')
  })

  it('refuses a key that is marked for RSA-PSS, or is not RSA', async () => {
    const spki = { type: 'spki', format: 'der' } as const
    for (const der of [
      generateKeyPairSync('rsa-pss', { modulusLength: 2048 }).publicKey.export(spki),
      generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export(spki),
    ]) {
      await expect(rsa.modulusOf(der)).to.be.reverted
    }
  })

  it('refuses algorithm parameters that are absent', async () => {
    // SEQUENCE { OID } in place of SEQUENCE { OID, NULL }, the lengths made to fit.
    const bare = edited((der) =>
      Buffer.concat([Buffer.from('30820120300b06092a864886f70d010101', 'hex'), der.subarray(19)]),
    )
    await expectRefused(bare, 'RsaKeyLengthUnsupported')
  })

  it('refuses the bare PKCS #1 key', async () => {
    await expect(rsa.modulusOf(key.der.subarray(24))).to.be.reverted
  })

  it('refuses lengths that are not minimal, also where the total is one that is expected', async () => {
    const padded = edited((der) => Buffer.concat([Buffer.from('3083000122', 'hex'), der.subarray(4)]))
    await expectRefused(padded, 'RsaKeyLengthUnsupported')
    // The exponent's first byte makes room for the longer length.
    await expectRefused(Buffer.concat([padded.subarray(0, -5), Buffer.from('02020003', 'hex')]), 'RsaKeyNotCanonical')
  })

  it('refuses a second sign byte, and a modulus with its top bit clear', async () => {
    const second = edited((der) => Buffer.concat([der.subarray(0, HEAD), Buffer.of(0), der.subarray(HEAD)]))
    await expectRefused(second, 'RsaKeyLengthUnsupported')
    await expectRefused(
      edited((der) => void (der[HEAD] = 0)),
      'RsaModulusUnsupported',
    )
    await expectRefused(
      edited((der) => void (der[HEAD] = 0x7f)),
      'RsaModulusUnsupported',
    )
  })

  it('refuses a negative modulus: the sign byte left out', async () => {
    await expect(rsa.modulusOf(edited((der) => Buffer.concat([der.subarray(0, HEAD - 1), der.subarray(HEAD)])))).to.be
      .reverted
  })

  it('refuses an even modulus', async () => {
    await expectRefused(
      edited((der) => void (der[HEAD + 255] = (der[HEAD + 255] ?? 0) & 0xfe)),
      'RsaModulusUnsupported',
    )
  })
})
