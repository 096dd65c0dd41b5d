import { KeyUnusableError, SILENT } from '@opg/operator'
import { constants, createPublicKey, generateKeyPairSync, verify } from 'node:crypto'
import { inspect } from 'node:util'
import { ZERO_BYTES32, recoverSigner } from '@opg/protocol'
import { Wallet, getBytes, zeroPadValue } from 'ethers'
import { describe, expect, it } from 'vitest'
import { verifierFor } from '../../src/receipts/acceptedVerifier.js'
import { acceptKeyVerifier } from '../../src/receipts/keyVerifier.js'
import { acceptTeeVerifier } from '../../src/receipts/teeVerifier.js'
import { ecdsaSigner } from '../../src/receipts/ecdsaSigner.js'
import type { EvidenceSigner } from '../../src/receipts/evidenceSigner.js'
import { rsaPssSigner } from '../../src/receipts/rsaPssSigner.js'
import { openNode } from '../../src/service/openNode.js'
import { NODE, TERMS, hash } from '../support/books.js'

const DIGEST = hash('digest')
const wallet = new Wallet(hash('a key for tests'))

function rsaPem(modulusLength: number, publicExponent = 65_537): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent })
  return privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
}

function thrownBy(work: () => unknown): unknown {
  try {
    return work()
  } catch (error) {
    return error
  }
}

describe('ecdsaSigner', () => {
  it('signs with 65 bytes that recover to its key', () => {
    const signer = ecdsaSigner(wallet.privateKey)
    const signature = signer.signDigest(DIGEST)
    expect(signature).toHaveLength(2 + 130)
    expect(recoverSigner(DIGEST, signature)).toBe(wallet.address)
    expect(signer.evidenceKey).toBe(zeroPadValue(wallet.address, 32).toLowerCase())
  })

  it.each([
    ['zero', ZERO_BYTES32],
    ['over the order', `0x${'ff'.repeat(32)}`],
    ['short', '0x12'],
    ['text', 'key'],
    ['without 0x', wallet.privateKey.slice(2)],
  ])('refuses a key that is none: %s', (_, key) => {
    expect(thrownBy(() => ecdsaSigner(key))).toBeInstanceOf(KeyUnusableError)
  })
})

describe('rsaPssSigner', () => {
  it.each([2048, 3072])('signs the digest as its message, with a salt of 32: %i bits', (bits) => {
    const pem = rsaPem(bits)
    const signer = rsaPssSigner(pem)
    const signature = getBytes(signer.signDigest(DIGEST))
    const options = { key: createPublicKey(pem), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
    expect(verify('sha256', getBytes(DIGEST), options, signature)).toBe(true)
    expect(verify('sha256', getBytes(DIGEST), { ...options, saltLength: 20 }, signature)).toBe(false)
    expect(signer.signer).toEqual({ kind: 'rsa-pss', teeId: signer.evidenceKey })
  })

  it('refuses what the verifier on chain would refuse', () => {
    const ec = generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey
    const keys = [rsaPem(1024), rsaPem(2048, 3), ec.export({ type: 'pkcs8', format: 'pem' }).toString(), 'no key']
    for (const key of keys) expect(thrownBy(() => rsaPssSigner(key))).toBeInstanceOf(KeyUnusableError)
  })
})

describe('accepted verifiers', () => {
  const address = TERMS.verifier
  const codeHash = hash('code')
  const key = ecdsaSigner(wallet.privateKey)
  const tee = rsaPssSigner(rsaPem(2048))

  it("takes a zero evidenceKey only where the node's own key signs", () => {
    const own = acceptKeyVerifier({ address, codeHash, signer: key, node: wallet.address as `0x${string}` })
    const other = acceptKeyVerifier({ address, codeHash, signer: key, node: NODE })
    expect(verifierFor([own], { ...TERMS, evidenceKey: ZERO_BYTES32 })).toBe(own)
    expect(verifierFor([other], { ...TERMS, evidenceKey: ZERO_BYTES32 })).toBeUndefined()
    expect(verifierFor([other], { ...TERMS, evidenceKey: key.evidenceKey })).toBe(other)
  })

  it('takes the owner form only of an enclave that the node owns (F8)', () => {
    const byOwner = { ...TERMS, evidenceKey: zeroPadValue(NODE, 32) as `0x${string}` }
    const owned = acceptTeeVerifier({ address, codeHash, signer: tee, node: NODE, ownsTee: true })
    const foreign = acceptTeeVerifier({ address, codeHash, signer: tee, node: NODE, ownsTee: false })
    expect(verifierFor([owned], byOwner)).toBe(owned)
    expect(verifierFor([foreign], byOwner)).toBeUndefined()
  })

  it('refuses a key of the other kind', () => {
    const input = { address, codeHash, node: NODE } as const
    expect(thrownBy(() => acceptKeyVerifier({ ...input, signer: tee }))).toBeInstanceOf(KeyUnusableError)
    expect(thrownBy(() => acceptTeeVerifier({ ...input, signer: key, ownsTee: true }))).toBeInstanceOf(KeyUnusableError)
  })
})

describe('keys (N8)', () => {
  const pem = rsaPem(2048)
  const marks = [wallet.privateKey.slice(2), pem.split('\n')[2] ?? '']

  function expectNoKeyIn(text: string): void {
    for (const mark of marks) expect(text).not.toContain(mark)
  }

  it('show in no field, JSON or inspection of a signer', () => {
    const signers: readonly EvidenceSigner[] = [ecdsaSigner(wallet.privateKey), rsaPssSigner(pem)]
    for (const signer of signers) {
      expectNoKeyIn(JSON.stringify(signer))
      expectNoKeyIn(inspect(signer, { depth: 9, showHidden: true }))
    }
  })

  it('show in no error, nor in its cause, when they are broken', async () => {
    const broken = pem.replace('-----END', 'x-----END')
    const errors = [
      thrownBy(() => ecdsaSigner(`${wallet.privateKey}00`)),
      thrownBy(() => rsaPssSigner(broken)),
      thrownBy(() => rsaPssSigner(wallet.privateKey)),
      await openNode({
        rpc: 'http://127.0.0.1:1',
        escrow: NODE,
        nodeKey: `${wallet.privateKey}00`,
        verifiers: [],
        databasePath: '/nowhere',
        modelIds: [],
        clock: () => 0,
        random: (length) => new Uint8Array(length),
        sleep: () => Promise.resolve(),
        logger: SILENT,
      }).catch((error: unknown) => error),
    ]
    for (const error of errors) {
      expect(error).toBeInstanceOf(KeyUnusableError)
      expectNoKeyIn(inspect(error, { depth: 9, showHidden: true }))
    }
  })
})
