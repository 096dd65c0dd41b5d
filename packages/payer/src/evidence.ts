import { type KeyObject, constants, createPublicKey, verify } from 'node:crypto'
import {
  type Address,
  type Hex,
  InvalidInputError,
  type Quorum,
  type SignedReceipt,
  type SliceHolder,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  parseAddress,
  parseBytes,
  quorumKey,
  receiptDigest,
  recoverSigner,
} from '@opg/protocol'
import { keccak256 } from 'ethers'
import { TeeKeyError } from './errors.js'
import type { TeeKey } from './fetchTeeKey.js'

/** Whose signatures under receipts count. Made by the functions here, never taken from the node. */
export type Evidence =
  | { readonly kind: 'ecdsa'; readonly signer: Address }
  | {
      readonly kind: 'rsa-pss'
      readonly keys: ReadonlyMap<Hex, KeyObject>
      /** Adds an enclave's key to `keys`, if the terms allow it. @throws {ChainUnavailableError} */
      readonly learn?: (teeId: Hex) => Promise<void>
    }
  /** The node signs receipts; what it settles with is the gateway's. */
  | { readonly kind: 'gateway'; readonly signer: Address }

const CLEAN_HIGH_BITS = `0x${'00'.repeat(12)}`
const MODULUS_BITS: readonly (number | undefined)[] = [2_048, 3_072, 4_096]
const PUBLIC_EXPONENT = 65_537n
const SALT_LENGTH = 32
const readDer = parseBytes({ min: 32, max: 1_024 })

/**
 * Evidence where the verifier is `KeyReceiptVerifier` or `VoucherReceiptVerifier`: `evidenceKey` zero means the node's
 * address, otherwise it is the signer's address.
 *
 * @param holder the order's terms, or the slice
 * @throws {InvalidInputError} if `evidenceKey` is no address, or the terms are a routed order's
 */
export function keyEvidence(holder: SliceHolder): Evidence {
  const { evidenceKey } = holder
  const node = nodeOf(holder)
  if (evidenceKey === ZERO_BYTES32) return { kind: 'ecdsa', signer: node }
  if (!evidenceKey.startsWith(CLEAN_HIGH_BITS)) {
    throw new InvalidInputError({
      field: 'evidenceKey',
      expected: 'zero or an address with clean high bits, for KeyReceiptVerifier',
      value: evidenceKey,
    })
  }
  return { kind: 'ecdsa', signer: parseAddress(`0x${evidenceKey.slice(-40)}`, 'evidenceKey') }
}

/**
 * Evidence where the verifier is `QuorumReceiptVerifier`: its validators judge settlements, and the node's own key signs
 * receipts.
 *
 * @param holder the order's terms, or the slice
 * @param quorums those that the payer trusts
 * @throws {InvalidInputError} if `evidenceKey` pins none of them
 */
export function quorumEvidence(holder: SliceHolder, quorums: readonly Quorum[]): Evidence {
  const pinned = holder.evidenceKey.toLowerCase()
  if (quorums.some((quorum) => quorumKey(quorum) === pinned)) return { kind: 'ecdsa', signer: nodeOf(holder) }
  throw new InvalidInputError({
    field: 'evidenceKey',
    expected: 'one of the quorums that the payer trusts',
    value: pinned,
  })
}

/**
 * Evidence where the verifier is `TeeReceiptVerifier`: `evidenceKey` is a teeId, or the node's address for any
 * enclave that the node owns.
 *
 * @param holder the order's terms, or the slice
 * @param keys as `fetchTeeKey` gave them
 * @throws {TeeKeyError} if a key is not one that the terms allow
 * @throws {InvalidInputError} if there is no key
 */
export function teeEvidence(holder: SliceHolder, keys: readonly TeeKey[]): Evidence {
  if (keys.length === 0) throw new InvalidInputError({ field: 'keys', expected: 'at least one key', value: keys })
  const node = nodeOf(holder)
  const isOwnerForm = namesOwner(holder)
  for (const { teeId, owner } of keys) {
    if (isOwnerForm && parseAddress(owner, 'keys.owner') !== node) {
      throw new TeeKeyError({ teeId, expected: `an enclave of the node ${node}`, found: `one of ${owner}` })
    }
    if (!isOwnerForm && teeId.toLowerCase() !== holder.evidenceKey.toLowerCase()) {
      throw new TeeKeyError({
        teeId,
        expected: `the enclave that the terms name, ${holder.evidenceKey}`,
        found: 'another',
      })
    }
  }
  return { kind: 'rsa-pss', keys: new Map(keys.map((key) => [lower(key.teeId), publicKeyOf(key)])) }
}

/**
 * Evidence where the verifier is `GatewayReceiptVerifier`: the node's key signs receipts, of what it was paid. What it is
 * paid for is signed by the gateway: see `askGateway`.
 *
 * @throws {InvalidInputError} if the terms are a routed order's
 */
export function gatewayEvidence(holder: SliceHolder): Evidence {
  return { kind: 'gateway', signer: nodeOf(holder) }
}

/**
 * Evidence where the verifier is `TeeReceiptVerifier` and `evidenceKey` is the node's address: the key of each enclave is
 * looked up when its first receipt comes, and counts if the enclave is the node's and enabled then.
 *
 * @param options `fetchKey`: `fetchTeeKey` of the verifier's registry; `keys`: those that are known already
 * @throws {InvalidInputError} if `evidenceKey` is not the node's address
 * @throws {TeeKeyError} if a key is not one that the terms allow
 */
export function ownedTeeEvidence(
  holder: SliceHolder,
  {
    fetchKey,
    keys: known = [],
  }: {
    readonly fetchKey: (teeId: Hex) => Promise<TeeKey>
    readonly keys?: readonly TeeKey[]
  },
): Evidence {
  if (!namesOwner(holder)) {
    const { evidenceKey } = holder
    throw new InvalidInputError({ field: 'evidenceKey', expected: `the node's address`, value: evidenceKey })
  }
  const keys = new Map<Hex, KeyObject>()
  const add = (key: TeeKey): void => {
    const evidence = teeEvidence(holder, [key])
    if (evidence.kind === 'rsa-pss') for (const [teeId, publicKey] of evidence.keys) keys.set(teeId, publicKey)
  }
  for (const key of known) add(key)
  return {
    kind: 'rsa-pss',
    keys,
    learn: async (teeId) => {
      try {
        add(await fetchKey(teeId))
      } catch (error) {
        // Then nothing that it signs counts.
        if (!(error instanceof TeeKeyError)) throw error
      }
    },
  }
}

/** Whether an order names its node as the owner of the enclaves that may sign. */
export function namesOwner(holder: SliceHolder): boolean {
  return holder.evidenceKey.toLowerCase() === `${CLEAN_HIGH_BITS}${nodeOf(holder).slice(2)}`.toLowerCase()
}

/**
 * Looks up the key that a receipt names, where evidence does not have it and may have more than it has. Call it before
 * `isSignedBy`.
 *
 * @throws {ChainUnavailableError}
 */
export async function learnKey(evidence: Evidence, { signer }: SignedReceipt): Promise<void> {
  if (evidence.kind !== 'rsa-pss' || signer.kind !== 'rsa-pss' || evidence.keys.has(lower(signer.teeId))) return
  await evidence.learn?.(lower(signer.teeId))
}

/**
 * Whether a receipt is signed by evidence, under the escrow's domain separator. What the receipt says of its signer
 * only picks among the keys that are trusted already.
 */
export function isSignedBy(
  signed: SignedReceipt,
  { evidence, separator }: { readonly evidence: Evidence; readonly separator: Hex },
): boolean {
  const digest = receiptDigest(separator, signed.receipt)
  if (evidence.kind !== 'rsa-pss') {
    return signed.signer.kind === 'ecdsa' && recoverSigner(digest, signed.signature) === evidence.signer
  }
  if (signed.signer.kind !== 'rsa-pss') return false
  const key = evidence.keys.get(lower(signed.signer.teeId))
  if (key === undefined) return false
  return verify(
    'sha256',
    Buffer.from(digest.slice(2), 'hex'),
    { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: SALT_LENGTH },
    Buffer.from(signed.signature.slice(2), 'hex'),
  )
}

/** Only what the chain's verifier takes: canonical DER of RSA with 2048, 3072 or 4096 bits and exponent 65537. */
export function publicKeyOf({ teeId, publicKey }: TeeKey): KeyObject {
  const der = Buffer.from(readDer(publicKey, 'keys.publicKey').slice(2), 'hex')
  if (keccak256(der) !== lower(teeId)) {
    throw new TeeKeyError({ teeId, expected: 'the key whose keccak256 is the teeId', found: 'another key' })
  }
  const expected = 'RSA of 2048, 3072 or 4096 bits with exponent 65537, as canonical SPKI DER'
  let key: KeyObject
  try {
    key = createPublicKey({ key: der, format: 'der', type: 'spki' })
  } catch (cause) {
    throw new TeeKeyError({ teeId, expected, found: 'bytes that are no key', cause })
  }
  const { modulusLength, publicExponent } = key.asymmetricKeyDetails ?? {}
  const isTaken =
    key.asymmetricKeyType === 'rsa' &&
    MODULUS_BITS.includes(modulusLength) &&
    publicExponent === PUBLIC_EXPONENT &&
    key.export({ format: 'der', type: 'spki' }).equals(der)
  if (!isTaken) throw new TeeKeyError({ teeId, expected, found: 'another kind of key' })
  return key
}

function lower(hex: Hex): Hex {
  return `0x${hex.slice(2).toLowerCase()}`
}

function nodeOf({ node }: SliceHolder): Address {
  const address = parseAddress(node, 'node')
  if (address !== ZERO_ADDRESS) return address
  throw new InvalidInputError({ field: 'node', expected: 'a node; of a routed order, give the slice', value: node })
}
