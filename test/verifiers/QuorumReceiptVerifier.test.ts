import { loadFixture } from '@nomicfoundation/hardhat-network-helpers'
import { expect } from 'chai'
import {
  Signature,
  SigningKey,
  Wallet,
  ZeroAddress,
  ZeroHash,
  concat,
  dataLength,
  dataSlice,
  id,
  toBeHex,
} from 'ethers'
import type { HostileWallet } from '../../packages/bindings/src/generated/typechain/contracts/dev/mocks/HostileWallet'
import type { QuorumReceiptVerifier } from '../../packages/bindings/src/generated/typechain/contracts/verifiers/QuorumReceiptVerifier'
import {
  OPG,
  PERMIT2_ADDRESS,
  batchDigest,
  deploy,
  deployAround,
  deployFixture,
  openOrder,
  orderIdOf,
  settleRow,
  type SettleRow,
  type Terms,
} from '../support/fixture'
import { ACCEPTED, judge, quorumEvidence, quorumKey, type QuorumEvidence } from '../support/evidence'

const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** Keys by ascending address, as sets have them. */
const KEYS = Array.from({ length: 255 }, (_, i) => new SigningKey(id(`validator ${String(i)}`))).sort((a, b) =>
  addressOf(a) < addressOf(b) ? -1 : 1,
)

function addressOf(key: SigningKey): string {
  return new Wallet(key).address.toLowerCase()
}

function addresses(n: number): string[] {
  return KEYS.slice(0, n).map(addressOf)
}

async function quorumFixture() {
  const f = await deployFixture()
  const verifier = await deploy<QuorumReceiptVerifier>('QuorumReceiptVerifier')
  const termsFor = async (k: number, validators: readonly string[]): Promise<Terms> => ({
    ...f.terms,
    verifier: await verifier.getAddress(),
    evidenceKey: quorumKey(k, validators),
  })
  const terms = await termsFor(3, addresses(5))
  const { order, orderId } = await openOrder(f, {}, { terms })
  return { ...f, verifier, termsFor, terms, order, orderId }
}
type World = Awaited<ReturnType<typeof quorumFixture>>

/** What the validators at `places` say of a digest, 3 of 5 of them pinned; or as `changes` say. */
function saidBy(digest: string, places: readonly number[], changes: Partial<QuorumEvidence> = {}): QuorumEvidence {
  return {
    k: 3,
    validators: addresses(5),
    signers: places.reduce((bits, place) => bits | (1n << BigInt(place)), 0n),
    signatures: places.map((place) => (KEYS[place] ?? never(place)).sign(digest).serialized),
    ...changes,
  }
}

function never(place: number): never {
  throw new TypeError(`There is no validator ${String(place)}`)
}

/** Refused through the escrow, nothing moved; and refused with the verifier's own error. */
async function expectRefused(
  f: World,
  { rows, evidence, terms = f.terms }: { rows: SettleRow[]; evidence: string; terms?: Terms },
  error: string,
  args?: readonly unknown[],
): Promise<void> {
  await expect(f.escrow.settle(terms, rows, evidence)).to.be.revertedWithCustomError(f.escrow, 'EvidenceRefused')
  const refusal = expect(judge(f, terms, { rows, evidence })).to.be.revertedWithCustomError(f.verifier, error)
  await (args === undefined ? refusal : refusal.withArgs(...args))
}

describe('QuorumReceiptVerifier', () => {
  context('when the pinned set has spoken', () => {
    for (const places of [
      [0, 1, 2],
      [2, 3, 4],
      [0, 2, 4],
    ]) {
      it(`settles by validators ${places.join(', ')} of 5`, async () => {
        const f = await loadFixture(quorumFixture)
        const rows = [settleRow(f.order, OPG, { close: true })]
        const evidence = quorumEvidence(saidBy(batchDigest(f.home, f.terms, rows), places))
        await expect(f.escrow.settle(f.terms, rows, evidence))
          .to.emit(f.escrow, 'OrderSettled')
          .withArgs(f.orderId, OPG, rows[0]?.receiptsRoot, 3n, f.order.amount - OPG)
      })
    }

    for (const [k, n] of [
      [1, 1],
      [1, 2],
      [2, 2],
      [1, 255],
      [255, 255],
    ] as const) {
      it(`takes ${String(k)} of ${String(n)}`, async () => {
        const f = await loadFixture(quorumFixture)
        const terms = await f.termsFor(k, addresses(n))
        const { order } = await openOrder(f, {}, { terms })
        const rows = [settleRow(order, OPG)]
        const places = Array.from({ length: k }, (_, i) => n - k + i)
        const said = saidBy(batchDigest(f.home, terms, rows), places, { k, validators: addresses(n) })
        await f.escrow.settle(terms, rows, quorumEvidence(said), { gasLimit: 10_000_000 })
        expect((await f.escrow.orders(orderIdOf(f.home, terms, order))).released).to.equal(OPG)
      })
    }
  })

  context('when signatures are missing, double or strange', () => {
    it('refuses k - 1', async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const two = saidBy(batchDigest(f.home, f.terms, rows), [0, 1])
      await expectRefused(f, { rows, evidence: quorumEvidence(two) }, 'EvidenceLengthWrong', [
        34 + 5 * 20 + 3 * 65,
        34 + 5 * 20 + 2 * 65,
      ])
      const third = saidBy(batchDigest(f.home, f.terms, rows), [0, 1], {
        signatures: [...two.signatures, two.signatures[1] ?? '0x'],
      })
      await expectRefused(f, { rows, evidence: quorumEvidence(third) }, 'SignersInvalid', [3, 5, 0b11])
    })

    it('refuses k + 1: there is one way to say a thing', async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const four = saidBy(batchDigest(f.home, f.terms, rows), [0, 1, 2, 3])
      await expectRefused(f, { rows, evidence: quorumEvidence(four) }, 'EvidenceLengthWrong')
      const named = { ...four, signatures: four.signatures.slice(0, 3) }
      await expectRefused(f, { rows, evidence: quorumEvidence(named) }, 'SignersInvalid', [3, 5, 0b1111])
    })

    it('one validator signs for three: refused', async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const digest = batchDigest(f.home, f.terms, rows)
      const [one] = saidBy(digest, [0]).signatures
      const thrice = saidBy(digest, [0, 1, 2], { signatures: [one ?? '0x', one ?? '0x', one ?? '0x'] })
      await expectRefused(f, { rows, evidence: quorumEvidence(thrice) }, 'SignatureInvalid')
    })

    it('refuses signatures in another order than the set', async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const said = saidBy(batchDigest(f.home, f.terms, rows), [0, 1, 2])
      const evidence = quorumEvidence({ ...said, signatures: [...said.signatures].reverse() })
      await expectRefused(f, { rows, evidence }, 'SignatureInvalid')
    })

    it("refuses a stranger's signature in a validator's place", async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const digest = batchDigest(f.home, f.terms, rows)
      const said = saidBy(digest, [0, 1, 5], { signers: 0b111n })
      await expect(judge(f, f.terms, { rows, evidence: quorumEvidence(said) }))
        .to.be.revertedWithCustomError(f.verifier, 'SignatureInvalid')
        .withArgs(new Wallet(KEYS[2] ?? never(2)).address, digest)
    })

    it('refuses signers beyond the set, at its edge and at the highest bit', async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const digest = batchDigest(f.home, f.terms, rows)
      for (const place of [5n, 255n]) {
        const signers = 0b11n | (1n << place)
        const evidence = quorumEvidence(saidBy(digest, [0, 1, 5], { signers }))
        await expectRefused(f, { rows, evidence }, 'SignersInvalid', [3, 5, signers])
      }
    })

    it('a validator that is a wallet (ERC-1271) is not asked', async () => {
      const f = await loadFixture(quorumFixture)
      const wallet = await deploy<HostileWallet>('HostileWallet', [f.home.token, PERMIT2_ADDRESS]) // signs everything
      const validators = [await wallet.getAddress()]
      const terms = await f.termsFor(1, validators)
      const { order } = await openOrder(f, {}, { terms })
      const rows = [settleRow(order, OPG)]
      const said = saidBy(batchDigest(f.home, terms, rows), [0], { k: 1, validators })
      await expectRefused(f, { rows, terms, evidence: quorumEvidence(said) }, 'SignatureInvalid')
    })

    it('signature malleability: the twin with high s is the same evidence, never a second one', async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const digest = batchDigest(f.home, f.terms, rows)
      const said = saidBy(digest, [0, 1, 2])
      const [first = '0x', second = '0x'] = said.signatures
      const { r, s, v } = Signature.from(first)
      const twin = concat([r, toBeHex(CURVE_ORDER - BigInt(s), 32), toBeHex(v === 27 ? 28 : 27)])
      const again = { ...said, signatures: [twin, ...said.signatures.slice(1)] }
      expect(await judge(f, f.terms, { rows, evidence: quorumEvidence(again) })).to.equal(ACCEPTED)
      const both = { ...said, signatures: [first, twin, second] }
      await expectRefused(f, { rows, evidence: quorumEvidence(both) }, 'SignatureInvalid')
    })
  })

  describe('F11: the payer pins the set, and nobody changes it', () => {
    it('has no call that changes anything, and no storage', async () => {
      const f = await loadFixture(quorumFixture)
      const changing = f.verifier.interface.fragments.filter(
        (fragment) => 'stateMutability' in fragment && fragment.stateMutability !== 'pure',
      )
      expect(changing.filter(({ type }) => type !== 'constructor')).to.deep.equal([])
    })

    it('an outsider brings a set of its own: refused', async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const digest = batchDigest(f.home, f.terms, rows)
      const validators = [addressOf(KEYS[7] ?? never(7))]
      const evidence = quorumEvidence(saidBy(digest, [7], { k: 1, validators, signers: 1n }))
      await expectRefused(f, { rows, evidence }, 'QuorumNotPinned', [f.terms.evidenceKey, quorumKey(1, validators)])
    })

    it('the pinned set, with another k, with one less, with one more: refused', async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const digest = batchDigest(f.home, f.terms, rows)
      const others = [
        saidBy(digest, [0, 1], { k: 2 }),
        saidBy(digest, [0, 1, 2, 3], { k: 4 }),
        saidBy(digest, [0, 1, 2], { validators: addresses(4) }),
        saidBy(digest, [0, 1, 2], { validators: addresses(6) }),
      ]
      for (const other of others) {
        await expectRefused(f, { rows, evidence: quorumEvidence(other) }, 'QuorumNotPinned')
      }
    })
  })

  describe('sets that nobody should pin', () => {
    /** Such a set, pinned, and evidence that is right in everything else. */
    async function pinned(f: World, k: number, validators: readonly string[], signers: bigint, places: number[]) {
      const terms = await f.termsFor(k, validators)
      const { order } = await openOrder(f, {}, { terms })
      const rows = [settleRow(order, OPG)]
      const said = saidBy(batchDigest(f.home, terms, rows), places, { k, validators, signers })
      return { terms, rows, evidence: quorumEvidence(said) }
    }

    it('k of zero: anyone could settle', async () => {
      const f = await loadFixture(quorumFixture)
      await expectRefused(f, await pinned(f, 0, addresses(5), 0n, []), 'QuorumInvalid', [0, 5])
      await expectRefused(f, await pinned(f, 0, [], 0n, []), 'QuorumInvalid', [0, 0])
    })

    it('k over n', async () => {
      const f = await loadFixture(quorumFixture)
      await expectRefused(f, await pinned(f, 3, addresses(2), 0b11n, [0, 1, 1]), 'QuorumInvalid', [3, 2])
    })

    it('a validator twice', async () => {
      const f = await loadFixture(quorumFixture)
      const [one = ''] = addresses(1)
      const twice = await pinned(f, 2, [one, one], 0b11n, [0, 0])
      await expectRefused(f, twice, 'ValidatorsNotAscending')
    })

    it('validators out of order', async () => {
      const f = await loadFixture(quorumFixture)
      const evidence = await pinned(f, 2, addresses(2).reverse(), 0b11n, [1, 0])
      await expectRefused(f, evidence, 'ValidatorsNotAscending')
    })

    it('the zero address, for which a failed recovery would speak', async () => {
      const f = await loadFixture(quorumFixture)
      const { terms, rows, evidence } = await pinned(f, 1, [ZeroAddress], 1n, [0])
      const failing = concat([dataSlice(evidence, 0, dataLength(evidence) - 1), '0x00'])
      await expectRefused(f, { terms, rows, evidence: failing }, 'ValidatorsNotAscending', [ZeroAddress, ZeroAddress])
    })
  })

  describe('replays', () => {
    it("one batch's evidence does not serve another order, escrow or chain", async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const other = await openOrder(f, {}, { terms: f.terms })
      const otherEscrow = await deployAround(f.home.token)
      const digests = [
        batchDigest(f.home, f.terms, [settleRow(other.order, OPG)]),
        batchDigest({ ...f.home, chainId: f.home.chainId + 1n }, f.terms, rows),
        batchDigest(otherEscrow.home, f.terms, rows),
        batchDigest(f.home, f.terms, [settleRow(f.order, OPG, { close: true })]),
        batchDigest(f.home, { ...f.terms, node: f.otherNode.address }, rows),
        ZeroHash,
      ]
      for (const digest of digests) {
        await expectRefused(f, { rows, evidence: quorumEvidence(saidBy(digest, [0, 1, 2])) }, 'SignatureInvalid')
      }
    })
  })

  describe('malformed evidence', () => {
    it('is refused at every length but its own', async () => {
      const f = await loadFixture(quorumFixture)
      const rows = [settleRow(f.order, OPG)]
      const good = quorumEvidence(saidBy(batchDigest(f.home, f.terms, rows), [0, 1, 2]))
      const whole = dataLength(good)
      for (const length of [0, 1]) {
        await expectRefused(f, { rows, evidence: dataSlice(good, 0, length) }, 'EvidenceLengthWrong', [2, length])
      }
      for (const length of [2, 22, 101, 102, 133, 134, 199, whole - 1]) {
        await expectRefused(f, { rows, evidence: dataSlice(good, 0, length) }, 'EvidenceLengthWrong', [whole, length])
      }
      await expectRefused(f, { rows, evidence: concat([good, '0x00']) }, 'EvidenceLengthWrong', [whole, whole + 1])
    })
  })

  describe('evidenceKeyOf', () => {
    it('gives what payers pin', async () => {
      const f = await loadFixture(quorumFixture)
      for (const [k, n] of [
        [1, 1],
        [3, 5],
        [255, 255],
      ] as const) {
        expect(await f.verifier.evidenceKeyOf(k, addresses(n))).to.equal(quorumKey(k, addresses(n)))
      }
    })

    it('refuses the sets that verify refuses, and more than 255 validators', async () => {
      const f = await loadFixture(quorumFixture)
      const many = Array.from({ length: 256 }, (_, i) => toBeHex(i + 1, 20))
      const refused: readonly [number, string[]][] = [
        [0, addresses(5)],
        [6, addresses(5)],
        [0, []],
        [1, many],
      ]
      for (const [k, validators] of refused) {
        await expect(f.verifier.evidenceKeyOf(k, validators))
          .to.be.revertedWithCustomError(f.verifier, 'QuorumInvalid')
          .withArgs(k, validators.length)
      }
      const [a = '', b = ''] = addresses(2)
      for (const validators of [[a, a], [b, a], [ZeroAddress], [ZeroAddress, a]]) {
        await expect(f.verifier.evidenceKeyOf(1, validators)).to.be.revertedWithCustomError(
          f.verifier,
          'ValidatorsNotAscending',
        )
      }
    })
  })
})
