import { loadFixture, setCode } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import { type Signature, SigningKey, Wallet, ZeroAddress, ZeroHash, concat, id, toBeHex, zeroPadValue } from 'ethers'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import { PERMIT2_ADDRESS, deploy, deployFixture } from '../support/fixture'

const DIGEST = id('digest')
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const key = new Wallet(id('evidence key'))
const NOTHING = '0x'

async function verifierFixture() {
  const f = await deployFixture()
  const magic = f.verifier.interface.getFunction('verify').selector
  const verify = (node: string, evidenceKey: string, evidence: string, digest = DIGEST) =>
    f.verifier.verify(node, evidenceKey, digest, [], evidence)
  return { ...f, magic, verify }
}

function sign(digest = DIGEST, signer = key): Signature {
  return new SigningKey(signer.privateKey).sign(digest)
}

describe('KeyReceiptVerifier', () => {
  context('when the key is the node', () => {
    it("takes the node's signature of 65 bytes", async () => {
      const f = await loadFixture(verifierFixture)
      expect(await f.verify(key.address, ZeroHash, sign().serialized)).to.equal(f.magic)
    })

    it('takes it where the key is named in full as well', async () => {
      const f = await loadFixture(verifierFixture)
      expect(await f.verify(key.address, zeroPadValue(key.address, 32), sign().serialized)).to.equal(f.magic)
    })
  })

  context('when the key is another address', () => {
    it("takes that key's signature, and not the node's", async () => {
      const f = await loadFixture(verifierFixture)
      const evidenceKey = zeroPadValue(key.address, 32)
      expect(await f.verify(f.node.address, evidenceKey, sign().serialized)).to.equal(f.magic)
      const node = new Wallet(id('node'))
      await expect(f.verify(node.address, evidenceKey, sign(DIGEST, node).serialized))
        .to.be.revertedWithCustomError(f.verifier, 'SignatureInvalid')
        .withArgs(key.address, DIGEST)
    })

    it('takes an address whose top bit is set: it is still an address', async () => {
      const f = await loadFixture(verifierFixture)
      const high = new Wallet(id('top bit 1'))
      expect(BigInt(high.address) >> 159n).to.equal(1n)
      expect(await f.verify(f.node.address, zeroPadValue(high.address, 32), sign(DIGEST, high).serialized)).to.equal(
        f.magic,
      )
    })

    for (const dirty of [1n << 160n, 1n << 255n]) {
      it(`refuses a key with high bits: ${toBeHex(dirty).slice(0, 6)}… (F8)`, async () => {
        const f = await loadFixture(verifierFixture)
        const evidenceKey = toBeHex(dirty | BigInt(key.address), 32)
        await expect(f.verify(key.address, evidenceKey, sign().serialized))
          .to.be.revertedWithCustomError(f.verifier, 'EvidenceKeyInvalid')
          .withArgs(evidenceKey)
      })
    }
  })

  context('when the signature is not the one form', () => {
    it('refuses every other length', async () => {
      const f = await loadFixture(verifierFixture)
      const good = sign().serialized
      const cases = [
        NOTHING,
        good.slice(0, -2),
        concat([good, '0x00']),
        sign().compactSerialized,
        `0x${'00'.repeat(65)}`,
      ]
      for (const evidence of cases) {
        await expect(f.verify(key.address, ZeroHash, evidence)).to.be.revertedWithCustomError(
          f.verifier,
          'SignatureInvalid',
        )
      }
    })

    it('nobody signs for the zero address: a recovery that fails gives it', async () => {
      const f = await loadFixture(verifierFixture)
      await expect(f.verify(ZeroAddress, ZeroHash, `0x${'00'.repeat(65)}`))
        .to.be.revertedWithCustomError(f.verifier, 'SignatureInvalid')
        .withArgs(ZeroAddress, DIGEST)
    })

    it('signature malleability: the twin with high s is the same evidence, never a second one', async () => {
      const f = await loadFixture(verifierFixture)
      const { r, s, v } = sign()
      const twin = concat([r, toBeHex(CURVE_ORDER - BigInt(s), 32), toBeHex(v === 27 ? 28 : 27)])
      expect(await f.verify(key.address, ZeroHash, twin)).to.equal(f.magic)
      await expect(f.verify(f.node.address, ZeroHash, twin)).to.be.revertedWithCustomError(
        f.verifier,
        'SignatureInvalid',
      )
    })

    it('refuses v other than 27 and 28', async () => {
      const f = await loadFixture(verifierFixture)
      const { r, s, v } = sign()
      for (const wrong of [0, 1, v === 27 ? 28 : 27, 29, 255]) {
        await expect(f.verify(key.address, ZeroHash, concat([r, s, toBeHex(wrong, 1)]))).to.be.revertedWithCustomError(
          f.verifier,
          'SignatureInvalid',
        )
      }
    })

    it('refuses a signature over another digest', async () => {
      const f = await loadFixture(verifierFixture)
      await expect(f.verify(key.address, ZeroHash, sign(id('other')).serialized)).to.be.revertedWithCustomError(
        f.verifier,
        'SignatureInvalid',
      )
    })
  })

  context('when the key is a contract (ERC-1271)', () => {
    async function walletFixture() {
      const f = await verifierFixture()
      const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS])
      return { ...f, wallet, evidenceKey: zeroPadValue(await wallet.getAddress(), 32) }
    }

    for (const evidence of [NOTHING, '0x12', `0x${'34'.repeat(65)}`, `0x${'56'.repeat(500)}`]) {
      it(`asks it about ${String((evidence.length - 2) / 2)} bytes`, async () => {
        const f = await loadFixture(walletFixture)
        expect(await f.verify(f.node.address, f.evidenceKey, evidence)).to.equal(f.magic)
        await f.wallet.setMood(1)
        await expect(f.verify(f.node.address, f.evidenceKey, evidence))
          .to.be.revertedWithCustomError(f.verifier, 'SignatureInvalid')
          .withArgs(await f.wallet.getAddress(), DIGEST)
      })
    }

    for (const [mood, name] of [
      [4, 'reverts with a flood'],
      [5, 'answers with four bytes'],
      [6, 'answers with a dirty word'],
    ] as const) {
      it(`refuses where it ${name}`, async () => {
        const f = await loadFixture(walletFixture)
        await f.wallet.setMood(mood)
        await expect(f.verify(f.node.address, f.evidenceKey, '0x')).to.be.revertedWithCustomError(
          f.verifier,
          'SignatureInvalid',
        )
      })
    }

    it('takes the key of an account that has code of its own (EIP-7702)', async () => {
      const f = await loadFixture(walletFixture)
      await setCode(key.address, `0xef0100${(await f.verifier.getAddress()).slice(2)}`)
      expect(await f.verify(key.address, ZeroHash, sign().serialized)).to.equal(f.magic)
    })
  })
})
