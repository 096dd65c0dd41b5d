import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import {
  AbiCoder,
  type BaseContract,
  type BytesLike,
  concat,
  type ContractTransactionResponse,
  dataSlice,
  getCreate2Address,
  hexlify,
  id,
  keccak256,
  type Signer,
  ZeroAddress,
  ZeroHash,
  zeroPadValue,
} from 'ethers'
import { artifacts, ethers } from 'hardhat'

import type { CachedModulusHarness } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/CachedModulusHarness'
import { deploy } from '../support/fixture'
import { newRsaKey, type RsaKey, signPss } from '../crypto/pss'

interface VerifierCalls {
  verify(node: string, evidenceKey: string, digest: string, rows: readonly [], evidence: BytesLike): Promise<string>
  cacheKey(teeId: string): Promise<ContractTransactionResponse>
  cacheOf(teeId: string): Promise<string>
  pendingModulus(): Promise<string>
}
interface RegistryCalls {
  register(
    der: BytesLike,
    paymentAddress: string,
    endpoint: string,
    teeType: number,
  ): Promise<ContractTransactionResponse>
  enableTEE(teeId: string): Promise<ContractTransactionResponse>
  disableTEE(teeId: string): Promise<ContractTransactionResponse>
}
interface ScriptCalls {
  script(selector: string, data: BytesLike): Promise<ContractTransactionResponse>
  forget(selector: string): Promise<ContractTransactionResponse>
}
type Verifier = BaseContract & VerifierCalls
type Registry = BaseContract & RegistryCalls
type Script = BaseContract & ScriptCalls

const SELECTOR = dataSlice(
  id(
    'verify(address,bytes32,bytes32,(bytes32,address,bytes32,uint96,uint96,uint32,uint96,bytes32,uint64,bool)[],bytes)',
  ),
  0,
  4,
)
const DIGEST = id('a batch')
const ALICE_KEY = newRsaKey(2048)
const BOB_KEY = newRsaKey(2048)
const ALICE_TEE = keccak256(ALICE_KEY.der)
const BOB_TEE = keccak256(BOB_KEY.der)

const anyTeeOf = (node: string): string => zeroPadValue(node, 32)

function evidenceOf(key: RsaKey, digest = DIGEST): string {
  return concat(['0x00', keccak256(key.der), signPss(key, ethers.getBytes(digest))])
}

async function deployVerifier(registry: BaseContract): Promise<Verifier> {
  return await deploy<Verifier>('TeeReceiptVerifier', [await registry.getAddress()])
}

/** Two nodes, each with an enclave that it registered. */
async function twoNodes() {
  const alice = await ethers.provider.getSigner(1)
  const bob = await ethers.provider.getSigner(2)
  const registry = await deploy<Registry>('DevTEERegistry')
  const as = (signer: Signer): Registry => registry.connect(signer) as Registry
  await as(alice).register(ALICE_KEY.der, ZeroAddress, 'https://alice.example', 0)
  await as(bob).register(BOB_KEY.der, ZeroAddress, 'https://bob.example', 0)
  const verifier = await deployVerifier(registry)
  const node = await alice.getAddress()
  return { registry, as, verifier, alice, bob, node, bobNode: await bob.getAddress() }
}

/** The same, with both keys in code storage. */
async function twoNodesCached() {
  const nodes = await twoNodes()
  for (const teeId of [ALICE_TEE, BOB_TEE]) await nodes.verifier.cacheKey(teeId)
  return nodes
}

describe('TeeReceiptVerifier', () => {
  describe('verify', () => {
    for (const [when, fixture] of [
      ['when the key is not cached', twoNodes],
      ['when the key is cached', twoNodesCached],
    ] as const) {
      context(when, () => {
        it('takes the pinned enclave', async () => {
          const { verifier, node } = await loadFixture(fixture)
          expect(await verifier.verify(node, ALICE_TEE, DIGEST, [], evidenceOf(ALICE_KEY))).to.equal(SELECTOR)
        })

        it('takes any enclave of the node where the orders say so', async () => {
          const { verifier, node } = await loadFixture(fixture)
          expect(await verifier.verify(node, anyTeeOf(node), DIGEST, [], evidenceOf(ALICE_KEY))).to.equal(SELECTOR)
        })

        it('takes the pinned enclave whoever owns it', async () => {
          const { verifier, bobNode } = await loadFixture(fixture)
          expect(await verifier.verify(bobNode, ALICE_TEE, DIGEST, [], evidenceOf(ALICE_KEY))).to.equal(SELECTOR)
        })

        it('refuses a signature over another digest', async () => {
          const { verifier, node } = await loadFixture(fixture)
          await expect(verifier.verify(node, ALICE_TEE, id('another batch'), [], evidenceOf(ALICE_KEY)))
            .to.be.revertedWithCustomError(verifier, 'TeeSignatureInvalid')
            .withArgs(ALICE_TEE, id('another batch'))
        })

        it("refuses another enclave's signature under the pinned enclave's name", async () => {
          const { verifier, node } = await loadFixture(fixture)
          const forged = concat(['0x00', ALICE_TEE, dataSlice(evidenceOf(BOB_KEY), 33)])
          await expect(verifier.verify(node, ALICE_TEE, DIGEST, [], forged)).to.be.revertedWithCustomError(
            verifier,
            'TeeSignatureInvalid',
          )
        })

        it('refuses another enclave than the pinned one, even one of the same node', async () => {
          const { verifier, bobNode } = await loadFixture(fixture)
          await expect(verifier.verify(bobNode, ALICE_TEE, DIGEST, [], evidenceOf(BOB_KEY)))
            .to.be.revertedWithCustomError(verifier, 'TeeNotPinned')
            .withArgs(ALICE_TEE, BOB_TEE)
        })

        it("refuses another node's enclave in the owner form", async () => {
          const { verifier, node, bobNode } = await loadFixture(fixture)
          await expect(verifier.verify(node, anyTeeOf(node), DIGEST, [], evidenceOf(BOB_KEY)))
            .to.be.revertedWithCustomError(verifier, 'TeeNotOwnedByNode')
            .withArgs(BOB_TEE, node, bobNode)
        })

        it('refuses an enclave from the moment it is disabled, and takes it again when it is enabled', async () => {
          const { verifier, as, alice, node } = await loadFixture(fixture)
          await as(alice).disableTEE(ALICE_TEE)
          for (const evidenceKey of [ALICE_TEE, anyTeeOf(node)]) {
            await expect(verifier.verify(node, evidenceKey, DIGEST, [], evidenceOf(ALICE_KEY)))
              .to.be.revertedWithCustomError(verifier, 'TeeNotEnabled')
              .withArgs(ALICE_TEE)
          }
          await as(alice).enableTEE(ALICE_TEE)
          expect(await verifier.verify(node, ALICE_TEE, DIGEST, [], evidenceOf(ALICE_KEY))).to.equal(SELECTOR)
        })

        it('refuses evidence that is cut, or goes on, at any part of it', async () => {
          const { verifier, node } = await loadFixture(fixture)
          const evidence = evidenceOf(ALICE_KEY)
          for (const length of [0, 1, 32]) {
            await expect(verifier.verify(node, ALICE_TEE, DIGEST, [], dataSlice(evidence, 0, length)))
              .to.be.revertedWithCustomError(verifier, 'EvidenceTooShort')
              .withArgs(length, 33)
          }
          for (const changed of [dataSlice(evidence, 0, 33), dataSlice(evidence, 0, 288), concat([evidence, '0x00'])]) {
            await expect(verifier.verify(node, ALICE_TEE, DIGEST, [], changed)).to.be.revertedWithCustomError(
              verifier,
              'TeeSignatureInvalid',
            )
          }
        })

        it('refuses every form but 0 and 1', async () => {
          const { verifier, node } = await loadFixture(fixture)
          for (const form of [2, 3, 0x80, 0xff]) {
            const evidence = concat([ethers.toBeHex(form, 1), dataSlice(evidenceOf(ALICE_KEY), 1)])
            await expect(verifier.verify(node, ALICE_TEE, DIGEST, [], evidence))
              .to.be.revertedWithCustomError(verifier, 'EvidenceFormUnknown')
              .withArgs(form)
          }
        })
      })
    }

    it('F8: a registrant names the node as payment address, and cannot sign for it', async () => {
      const { verifier, as, bob, node, bobNode } = await loadFixture(twoNodes)
      const key = newRsaKey(2048)
      await as(bob).register(key.der, node, 'https://alice.example', 0)
      await expect(verifier.verify(node, anyTeeOf(node), DIGEST, [], evidenceOf(key)))
        .to.be.revertedWithCustomError(verifier, 'TeeNotOwnedByNode')
        .withArgs(keccak256(key.der), node, bobNode)
    })

    it('F8: no evidence key is a wildcard: zero, the zero address, an address with dirty bits, another address', async () => {
      const { verifier, node, bobNode } = await loadFixture(twoNodes)
      const dirty = concat(['0x01', dataSlice(anyTeeOf(node), 1)])
      for (const evidenceKey of [ZeroHash, dirty, anyTeeOf(bobNode)]) {
        await expect(verifier.verify(node, evidenceKey, DIGEST, [], evidenceOf(ALICE_KEY)))
          .to.be.revertedWithCustomError(verifier, 'TeeNotPinned')
          .withArgs(evidenceKey, ALICE_TEE)
      }
    })

    it('refuses an enclave that nobody registered, in either form, also for the zero node', async () => {
      const { verifier, node } = await loadFixture(twoNodes)
      const key = newRsaKey(2048)
      const teeId = keccak256(key.der)
      await expect(verifier.verify(node, teeId, DIGEST, [], evidenceOf(key))).to.be.revertedWithCustomError(
        verifier,
        'TeeNotEnabled',
      )
      for (const stranger of [node, ZeroAddress]) {
        await expect(
          verifier.verify(stranger, anyTeeOf(stranger), DIGEST, [], evidenceOf(key)),
        ).to.be.revertedWithCustomError(verifier, 'TeeNotOwnedByNode')
      }
    })

    for (const size of [3072, 4096]) {
      it(`takes a key of ${String(size)} bits, cached or not`, async () => {
        const { verifier, as, alice, node } = await loadFixture(twoNodes)
        const key = newRsaKey(size)
        await as(alice).register(key.der, ZeroAddress, '', 0)
        const judge = (): Promise<string> => verifier.verify(node, anyTeeOf(node), DIGEST, [], evidenceOf(key))
        expect(await judge()).to.equal(SELECTOR)
        await verifier.cacheKey(keccak256(key.der))
        expect(await judge()).to.equal(SELECTOR)
      })
    }

    it('refuses a registered key that is not one to verify with, cached or not', async () => {
      const { verifier, as, alice, node } = await loadFixture(twoNodes)
      const harness = await ethers.getContractFactory('RsaPssHarness') // for the errors of the library
      const weak = newRsaKey(1024)
      await as(alice).register(weak.der, ZeroAddress, '', 0)
      const teeId = keccak256(weak.der)
      await expect(verifier.verify(node, teeId, DIGEST, [], evidenceOf(weak))).to.be.revertedWithCustomError(
        harness,
        'RsaKeyLengthUnsupported',
      )
      await expect(verifier.cacheKey(teeId)).to.be.revertedWithCustomError(harness, 'RsaKeyLengthUnsupported')
    })
  })

  describe('cacheKey', () => {
    it('keeps a STOP and the modulus where the teeId alone says, and tells', async () => {
      const { verifier } = await loadFixture(twoNodes)
      const { bytecode } = await artifacts.readArtifact('CachedModulus')
      const cache = getCreate2Address(await verifier.getAddress(), ALICE_TEE, keccak256(bytecode))
      expect(await verifier.cacheOf(ALICE_TEE)).to.equal(cache)
      expect(await ethers.provider.getCode(cache)).to.equal('0x')

      const stranger = await ethers.provider.getSigner(9)
      const byAnyone = verifier.connect(stranger) as Verifier
      await expect(byAnyone.cacheKey(ALICE_TEE)).to.emit(verifier, 'KeyCached').withArgs(ALICE_TEE, cache)
      expect(await ethers.provider.getCode(cache)).to.equal(concat(['0x00', ALICE_KEY.modulus]))
    })

    it('changes nothing the second time', async () => {
      const { verifier } = await loadFixture(twoNodes)
      await verifier.cacheKey(ALICE_TEE)
      await expect(verifier.cacheKey(ALICE_TEE)).not.to.emit(verifier, 'KeyCached')
    })

    it('refuses an enclave that is not registered, and the zero teeId', async () => {
      const { verifier, registry } = await loadFixture(twoNodes)
      await expect(verifier.cacheKey(id('nobody'))).to.be.revertedWithCustomError(registry, 'TEEUnknown')
      await expect(verifier.cacheKey(ZeroHash)).to.be.revertedWithCustomError(verifier, 'NoKeyPending')
    })

    it('gives no modulus outside of it, before or after', async () => {
      const { verifier } = await loadFixture(twoNodes)
      await expect(verifier.pendingModulus()).to.be.revertedWithCustomError(verifier, 'NoKeyPending')
      await verifier.cacheKey(ALICE_TEE)
      await expect(verifier.pendingModulus()).to.be.revertedWithCustomError(verifier, 'NoKeyPending')
    })

    it('gives none later in the same transaction either', async () => {
      const { verifier } = await loadFixture(twoNodes)
      const asker = await deploy<CachedModulusHarness>('CachedModulusHarness')
      await expect(asker.cacheAndAsk(await verifier.getAddress(), ALICE_TEE)).to.be.revertedWithCustomError(
        verifier,
        'NoKeyPending',
      )
    })
  })

  describe('a registry that misbehaves', () => {
    const coder = AbiCoder.defaultAbiCoder()
    const TEES = dataSlice(id('tees(bytes32)'), 0, 4)
    const ENABLED = dataSlice(id('isTEEEnabled(bytes32)'), 0, 4)
    const KEY = dataSlice(id('getTEEPublicKey(bytes32)'), 0, 4)

    /** A registry that calls Alice's enclave hers and enabled, as long as it is not told otherwise. */
    async function scripted() {
      const registry = await deploy<Script>('ScriptedTEERegistry')
      const node = await (await ethers.provider.getSigner(1)).getAddress()
      await registry.script(TEES, coder.encode(['address', 'address'], [node, ZeroAddress]))
      await registry.script(ENABLED, coder.encode(['bool'], [true]))
      await registry.script(KEY, coder.encode(['bytes'], [ALICE_KEY.der]))
      const verifier = await deployVerifier(registry)
      const judge = (): Promise<string> => verifier.verify(node, anyTeeOf(node), DIGEST, [], evidenceOf(ALICE_KEY))
      return { registry, verifier, node, judge }
    }

    it('is believed while it answers as it should, with two words or with a record of any shape behind them', async () => {
      const { registry, node, judge } = await loadFixture(scripted)
      expect(await judge()).to.equal(SELECTOR)
      await registry.script(TEES, concat([zeroPadValue(node, 32), ZeroHash, hexlify(Buffer.alloc(777, 0xff))]))
      expect(await judge()).to.equal(SELECTOR)
    })

    it('is refused where it reverts', async () => {
      for (const selector of [TEES, ENABLED, KEY]) {
        const { registry, judge } = await loadFixture(scripted)
        await registry.forget(selector)
        await expect(judge()).to.be.revertedWithCustomError(registry, 'Unscripted').withArgs(selector)
      }
    })

    it('is refused where it returns too little', async () => {
      for (const [selector, lengths] of [
        [TEES, [0, 32, 63]],
        [ENABLED, [0, 31]],
        [KEY, [0, 32, 64, 300]],
      ] as const) {
        const { registry, node, judge } = await loadFixture(scripted)
        const whole =
          selector === KEY ? coder.encode(['bytes'], [ALICE_KEY.der]) : concat([zeroPadValue(node, 32), ZeroHash])
        for (const length of lengths) {
          await registry.script(selector, dataSlice(whole, 0, length))
          await expect(judge(), `${selector} ${String(length)}`).to.be.reverted
        }
      }
    })

    it('is refused where the owner is an address with dirty bits', async () => {
      const { registry, node, judge } = await loadFixture(scripted)
      await registry.script(TEES, concat(['0x01', dataSlice(zeroPadValue(node, 32), 1), ZeroHash]))
      await expect(judge()).to.be.reverted
    })

    it('is refused where "enabled" is neither true nor false', async () => {
      const { registry, judge } = await loadFixture(scripted)
      await registry.script(ENABLED, coder.encode(['uint256'], [2]))
      await expect(judge()).to.be.reverted
    })

    it('cannot replace a key, neither in verify nor in cacheKey', async () => {
      const { registry, verifier, node } = await loadFixture(scripted)
      await registry.script(KEY, coder.encode(['bytes'], [BOB_KEY.der]))
      const forged = concat(['0x00', ALICE_TEE, dataSlice(evidenceOf(BOB_KEY), 33)])
      await expect(verifier.verify(node, ALICE_TEE, DIGEST, [], forged))
        .to.be.revertedWithCustomError(verifier, 'TeeKeyMismatch')
        .withArgs(ALICE_TEE, BOB_TEE)
      await expect(verifier.cacheKey(ALICE_TEE))
        .to.be.revertedWithCustomError(verifier, 'TeeKeyMismatch')
        .withArgs(ALICE_TEE, BOB_TEE)
    })

    it('is not asked for a key that is cached', async () => {
      const { registry, verifier, judge } = await loadFixture(scripted)
      await verifier.cacheKey(ALICE_TEE)
      await registry.forget(KEY)
      expect(await judge()).to.equal(SELECTOR)
    })
  })

  it('is not deployed over a registry without code', async () => {
    const factory = await ethers.getContractFactory('TeeReceiptVerifier')
    const address = await (await ethers.provider.getSigner(0)).getAddress()
    await expect(factory.deploy(address))
      .to.be.revertedWithCustomError(factory, 'RegistryWithoutCode')
      .withArgs(address)
  })
})
