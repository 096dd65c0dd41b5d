import type { Address, Hex, Settlement, SignedReceipt, Terms } from '@opg/protocol'
import type { StoredAnswer, StoredOrder } from '../store/types.js'
import type { EvidenceSigner } from './evidenceSigner.js'
import type { GatewayKey } from './gatewayKey.js'

/** A verifier whose judgement this node accepts, and how it convinces it. */
export interface AcceptedVerifier {
  readonly address: Address
  /** keccak256 of the code that must stand there (F2). */
  readonly codeHash: Hex
  /** What an order's `evidenceKey` may be: all of them are this node's own. */
  readonly evidenceKeys: readonly Hex[]
  /** Signs receipts; undefined where its key is lost: then nothing new is admitted. */
  readonly signer: EvidenceSigner | undefined
  /** Whether each request must bring its requester's voucher. */
  readonly takesVouchers: boolean
  /** Set: only what this gateway signs is evidence, so that each order is for one request at a fixed price. */
  readonly gateway?: GatewayKey
  /** Set: it judges each row by evidence of its own, so that one which it takes no longer must not hold up others (E8). */
  readonly provesEach?: true
  /** Whether evidence comes from others, who may be slow: such settlements go after all that need nobody. */
  readonly isRemote: boolean
  /** What of a planned settlement can be proved to it, perhaps in another form; undefined: nothing. */
  readonly provable: (planned: Settlement, proof: OrderProof) => Settlement | undefined
  /** Evidence for settlements that are provable; undefined where it cannot be had now, but perhaps later. */
  readonly prove: (batch: EvidenceBatch) => Promise<Hex | undefined>
}

/** What the books hold to prove one order with. */
export interface OrderProof extends SettlementProof {
  readonly order: StoredOrder
}

/** What goes into the evidence of a settlement that is provable. */
export interface SettlementProof {
  readonly order: Pick<StoredOrder, 'voucher'>
  /** The last receipt that the settlement counts; undefined where there is none. */
  readonly lastReceipt: SignedReceipt | undefined
  /** What was answered last, read when it is asked for. */
  readonly lastAnswer: () => Promise<StoredAnswer | undefined>
}

/** What one piece of evidence is about: a batch of `settle`, or one slice. */
export interface EvidenceBatch {
  readonly chainId: bigint
  readonly escrow: Address
  readonly terms: Terms
  readonly node: Address
  readonly evidenceKey: Hex
  readonly settlements: readonly Settlement[]
  /** Of each settlement, in their order. */
  readonly proofs: readonly SettlementProof[]
  /** EIP-712 digest of the batch. */
  readonly digest: Hex
}

/** What every verifier is made from. */
export interface VerifierInput {
  readonly address: Address
  readonly codeHash: Hex
  readonly signer: EvidenceSigner
  readonly node: Address
}

/** The accepted verifier of an order, if the evidence that it asks for is this node's own. */
export function verifierFor(
  verifiers: readonly AcceptedVerifier[],
  { verifier, evidenceKey }: { readonly verifier: Address; readonly evidenceKey: Hex },
): AcceptedVerifier | undefined {
  return verifiers.find(({ address, evidenceKeys }) => address === verifier && evidenceKeys.includes(evidenceKey))
}
