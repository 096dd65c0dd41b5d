import { constants, generateKeyPairSync, sign } from 'node:crypto'
import { keccak256 } from 'ethers'
import { type Hex, type SignedReceipt, ZERO_BYTES32, quorumKey, receiptDigest } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import { ORDER, SEPARATOR, TERMS, asHex, nodeWallet, signReceipt, strangerWallet } from '../test/support/world.js'
import { TeeKeyError } from './errors.js'
import { isSignedBy, keyEvidence, learnKey, ownedTeeEvidence, quorumEvidence, teeEvidence } from './evidence.js'
import type { TeeKey } from './fetchTeeKey.js'

const PLAIN = { seq: 0n, requestId: ZERO_BYTES32, fee: 1n, cumulativeFee: 1n }

function rsaKey(modulusLength: number, publicExponent = 65_537) {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent })
  const der = asHex(`0x${publicKey.export({ format: 'der', type: 'spki' }).toString('hex')}`)
  const tee: TeeKey = { teeId: asHex(keccak256(der)), publicKey: der, owner: TERMS.node }
  const receipt = (saltLength = 32, padding = constants.RSA_PKCS1_PSS_PADDING): SignedReceipt => {
    const { receipt: plain } = signReceipt(PLAIN)
    const digest = Buffer.from(receiptDigest(SEPARATOR, plain).slice(2), 'hex')
    const signature = sign('sha256', digest, { key: privateKey, padding, saltLength }).toString('hex')
    return { receipt: plain, signature: `0x${signature}`, signer: { kind: 'rsa-pss', teeId: tee.teeId } }
  }
  return { tee, receipt, pinned: { ...TERMS, evidenceKey: tee.teeId } }
}

function ownerForm(): Hex {
  return `0x${'00'.repeat(12)}${TERMS.node.slice(2).toLowerCase()}`
}

describe('keyEvidence', () => {
  it('takes the node for zero, and an address as it is', () => {
    expect(keyEvidence(TERMS)).toEqual({ kind: 'ecdsa', signer: TERMS.node })
    const evidenceKey = asHex(`0x${'00'.repeat(12)}${ORDER.payer.slice(2)}`)
    expect(keyEvidence({ ...TERMS, evidenceKey })).toEqual({ kind: 'ecdsa', signer: ORDER.payer })
  })

  it('refuses an address with dirty high bits', () => {
    const evidenceKey = asHex(`0x01${'00'.repeat(11)}${ORDER.payer.slice(2)}`)
    expect(() => keyEvidence({ ...TERMS, evidenceKey })).toThrow(expect.objectContaining({ field: 'evidenceKey' }))
  })

  it('accepts the signer, and neither a stranger nor another receipt', () => {
    const trusted = { evidence: keyEvidence(TERMS), separator: SEPARATOR }
    const signed = signReceipt(PLAIN)
    expect(isSignedBy(signed, trusted)).toBe(true)
    expect(isSignedBy(signReceipt(PLAIN, strangerWallet), trusted)).toBe(false)
    expect(isSignedBy({ ...signed, receipt: { ...signed.receipt, fee: 2n } }, trusted)).toBe(false)
    expect(isSignedBy(signed, { ...trusted, separator: ZERO_BYTES32 })).toBe(false)
  })
})

describe('teeEvidence', () => {
  it.each([2_048, 3_072, 4_096])('accepts an enclave with %i bits', (bits) => {
    const { tee, receipt, pinned } = rsaKey(bits)
    expect(isSignedBy(receipt(), { evidence: teeEvidence(pinned, [tee]), separator: SEPARATOR })).toBe(true)
  })

  it('refuses another salt, another padding, another receipt and another enclave', () => {
    const { tee, receipt, pinned } = rsaKey(2_048)
    const trusted = { evidence: teeEvidence(pinned, [tee]), separator: SEPARATOR }
    const signed = receipt()
    expect(isSignedBy(receipt(31), trusted)).toBe(false)
    expect(isSignedBy(receipt(0), trusted)).toBe(false)
    expect(isSignedBy(receipt(32, constants.RSA_PKCS1_PADDING), trusted)).toBe(false)
    expect(isSignedBy({ ...signed, receipt: { ...signed.receipt, seq: 1n } }, trusted)).toBe(false)
    expect(isSignedBy(rsaKey(2_048).receipt(), trusted)).toBe(false)
  })

  it('a node that signs with its own key instead of the enclave is not believed', () => {
    const { tee, pinned } = rsaKey(2_048)
    const byNode = signReceipt(PLAIN, nodeWallet)
    expect(isSignedBy(byNode, { evidence: teeEvidence(pinned, [tee]), separator: SEPARATOR })).toBe(false)
  })

  it('a stranger registers an enclave that pays to the node: it is not the node’s', () => {
    const { tee } = rsaKey(2_048)
    const terms = { ...TERMS, evidenceKey: ownerForm() }
    expect(teeEvidence(terms, [tee]).kind).toBe('rsa-pss')
    expect(() => teeEvidence(terms, [{ ...tee, owner: ORDER.payer }])).toThrow(
      expect.objectContaining({ code: 'TEE_KEY_INVALID' }),
    )
  })

  it('refuses an enclave that the terms do not name, and a key that is not the teeId’s', () => {
    const { tee, pinned } = rsaKey(2_048)
    const other = rsaKey(2_048).tee
    expect(() => teeEvidence(pinned, [other])).toThrow(expect.objectContaining({ code: 'TEE_KEY_INVALID' }))
    const swapped = { ...tee, publicKey: other.publicKey }
    expect(() => teeEvidence(pinned, [swapped])).toThrow(expect.objectContaining({ code: 'TEE_KEY_INVALID' }))
    expect(() => teeEvidence(pinned, [])).toThrow(expect.objectContaining({ field: 'keys' }))
  })

  it.each([
    ['1024 bits', 1_024, 65_537],
    ['2040 bits', 2_040, 65_537],
    ['exponent 3', 2_048, 3],
  ])('refuses a key of %s', (_, bits, exponent) => {
    const { tee, pinned } = rsaKey(bits, exponent)
    expect(() => teeEvidence(pinned, [tee])).toThrow(expect.objectContaining({ code: 'TEE_KEY_INVALID' }))
  })
})

describe('quorumEvidence', () => {
  const quorum = { k: 1, validators: [ORDER.payer] }
  const terms = { ...TERMS, evidenceKey: quorumKey(quorum) }

  it('takes receipts of the node, where the quorum is one that is trusted', () => {
    const others = { k: 1, validators: [TERMS.node] }
    expect(quorumEvidence(terms, [others, quorum])).toEqual({ kind: 'ecdsa', signer: TERMS.node })
    for (const trusted of [[], [others]]) {
      expect(() => quorumEvidence(terms, trusted)).toThrow(expect.objectContaining({ field: 'evidenceKey' }))
    }
  })
})

describe('ownedTeeEvidence', () => {
  const terms = { ...TERMS, evidenceKey: ownerForm() }
  const { tee, receipt } = rsaKey(2_048)
  const judged = async (fetchKey: () => Promise<TeeKey>, keys: readonly TeeKey[] = []): Promise<boolean> => {
    const evidence = ownedTeeEvidence(terms, { fetchKey, keys })
    await learnKey(evidence, receipt())
    return isSignedBy(receipt(), { evidence, separator: SEPARATOR })
  }

  it('asks for the key that a receipt names, once', async () => {
    let asked = 0
    const evidence = ownedTeeEvidence(terms, { fetchKey: () => Promise.resolve(++asked).then(() => tee) })
    expect(isSignedBy(receipt(), { evidence, separator: SEPARATOR })).toBe(false)
    await learnKey(evidence, receipt())
    await learnKey(evidence, receipt())
    expect(isSignedBy(receipt(), { evidence, separator: SEPARATOR })).toBe(true)
    expect(asked).toBe(1)
  })

  it('does not count what another owner’s, no, or a swapped enclave signs', async () => {
    const expected = 'an enclave that is enabled'
    const unknown = new TeeKeyError({ teeId: tee.teeId, expected, found: 'a disabled one' })
    expect(await judged(() => Promise.resolve({ ...tee, owner: ORDER.payer }))).toBe(false)
    expect(await judged(() => Promise.reject(unknown))).toBe(false)
    expect(await judged(() => Promise.resolve(rsaKey(2_048).tee))).toBe(false)
  })

  it('does not take a chain that is away for an answer', async () => {
    const away = new TypeError('no connection')
    await expect(judged(() => Promise.reject(away))).rejects.toBe(away)
    expect(await judged(() => Promise.reject(away), [tee])).toBe(true)
  })

  it('is for terms that name the owner, and keys of its enclaves', () => {
    const fetchKey = (): Promise<TeeKey> => Promise.resolve(tee)
    expect(() => ownedTeeEvidence(TERMS, { fetchKey })).toThrow(expect.objectContaining({ field: 'evidenceKey' }))
    const keys = [{ ...tee, owner: ORDER.payer }]
    expect(() => ownedTeeEvidence(terms, { fetchKey, keys })).toThrow(TeeKeyError)
  })
})
