import { KeyUnusableError, type Logger } from '@opg/operator'
import { type Address, type Hex, quorumKey, recoverSigner, toWire } from '@opg/protocol'
import { concat, toBeHex } from 'ethers'
import type { AcceptedVerifier, EvidenceBatch, VerifierInput } from './acceptedVerifier.js'
import { askValidator } from './askValidator.js'
import { requireEcdsa } from './keyVerifier.js'

/** One of a quorum's validators, and where it is asked. */
export interface Validator {
  readonly address: Address
  readonly url: string
}

/** A set of validators, of which `k` must sign. */
export interface Quorum {
  readonly k: number
  readonly validators: readonly Validator[]
  /** How long a validator may take to answer, in milliseconds. */
  readonly timeoutMs: number
  /** Given from the edge. */
  readonly fetch: typeof globalThis.fetch
}

const MAX_VALIDATORS = 255

/**
 * `QuorumReceiptVerifier`: `k` of the validators sign the batch. They are asked at every settlement; as long as fewer
 * than `k` sign, what is owed waits in the books. Receipts are signed by the node's key.
 *
 * @throws {KeyUnusableError} if the signer is no ECDSA key, or the set is none
 */
export function acceptQuorumVerifier(
  input: VerifierInput & { readonly quorum: Quorum; readonly logger: Logger },
): AcceptedVerifier {
  const { address, codeHash, signer, quorum, logger } = input
  requireEcdsa(signer, 'QuorumReceiptVerifier')
  const sorted = { ...quorum, validators: ascending(quorum) }
  return {
    address,
    codeHash,
    evidenceKeys: [quorumKeyOf(sorted)],
    signer,
    takesVouchers: false,
    isRemote: true,
    provable: (planned) => planned,
    prove: async (batch) => {
      const question = questionOf(batch, signer.signDigest(batch.digest))
      const signatures = await collect(sorted, { question, digest: batch.digest, logger })
      if (signatures.size < sorted.k) {
        logger.warn({ signed: signatures.size, needed: sorted.k }, 'too few validators signed; it is tried again')
        return undefined
      }
      return encode(sorted, signatures)
    },
  }
}

/** What orders name a quorum by. @throws {InvalidInputError} if it is none */
export function quorumKeyOf({ k, validators }: Pick<Quorum, 'k' | 'validators'>): Hex {
  return quorumKey({ k, validators: validators.map(({ address }) => address) })
}

function ascending({ k, validators }: Quorum): readonly Validator[] {
  const n = validators.length
  if (!(Number.isInteger(k) && k > 0 && k <= n && n <= MAX_VALIDATORS)) {
    throw new KeyUnusableError('A quorum', `k of n validators, with 0 < k <= n <= ${String(MAX_VALIDATORS)}`)
  }
  const sorted = [...validators].sort((a, b) => (BigInt(a.address) < BigInt(b.address) ? -1 : 1))
  if (new Set(sorted.map(({ address }) => address)).size < n || BigInt(sorted[0]?.address ?? 0) === 0n) {
    throw new KeyUnusableError('The validators of a quorum', 'different addresses, none of them zero')
  }
  return sorted
}

/** Asks all at once, and ends with the first `k` right signatures, or when nobody is left to wait for. */
async function collect(
  { k, validators, timeoutMs, fetch }: Quorum,
  input: { readonly question: unknown; readonly digest: Hex; readonly logger: Logger },
): Promise<ReadonlyMap<Address, Hex>> {
  const { question, digest, logger } = input
  const body = JSON.stringify(question)
  const signatures = new Map<Address, Hex>()
  const enough = new AbortController()
  await Promise.all(
    validators.map(async ({ address, url }) => {
      const signal = AbortSignal.any([enough.signal, AbortSignal.timeout(timeoutMs)])
      const answer = await askValidator(url, { body, signal, fetch })
      if (signatures.size >= k) return
      if (answer.status === 'failed') logger.warn({ validator: address, detail: answer.detail }, 'no signature')
      // Whatever it says, only its own signature over this digest counts.
      else if (recoverSigner(digest, answer.signature) !== address) {
        logger.warn({ validator: address }, 'a validator sent a signature that is not its own over this batch')
      } else signatures.set(address, answer.signature)
      if (signatures.size >= k) enough.abort()
    }),
  )
  return signatures
}

/**
 * What a validator needs to judge: it computes the digest itself. By the node's signature over it the validator knows
 * that the node asks: whoever holds an old receipt could have the order closed at too little otherwise.
 */
function questionOf(batch: EvidenceBatch, nodeSignature: Hex): unknown {
  const { chainId, escrow, terms, node, evidenceKey, settlements, proofs } = batch
  const receipts = proofs.flatMap(({ lastReceipt }) => lastReceipt ?? [])
  return toWire({ chainId, escrow, terms, node, evidenceKey, settlements, receipts, nodeSignature })
}

/** `abi.encodePacked(uint8 k, uint8 n, address[n] validators, uint256 signers, bytes[k] signatures)`. */
function encode({ k, validators }: Quorum, signatures: ReadonlyMap<Address, Hex>): Hex {
  const signers = validators.flatMap(({ address }, place) => {
    const signature = signatures.get(address)
    return signature === undefined ? [] : [{ place, signature }]
  })
  const bits = signers.reduce((word, { place }) => word | (1n << BigInt(place)), 0n)
  return concat([
    toBeHex(k, 1),
    toBeHex(validators.length, 1),
    ...validators.map(({ address }) => address),
    toBeHex(bits, 32),
    ...signers.map(({ signature }) => signature),
  ]) as Hex
}
