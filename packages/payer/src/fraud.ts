import type { InferenceRequest, SignedReceipt } from '@opg/protocol'
import type { SettledEvent } from './fetchSettlements.js'

/**
 * What a node did that it may not do, with the evidence. `verifyFraud` judges it without trust in whoever shows it.
 *
 * Some kinds prove themselves: the node's own signatures contradict each other, a request, or the chain. The others are
 * questions that an honest node can answer by showing the signed requests and receipts that the payer says are not there.
 */
export type FraudProof =
  /** Two different receipts with one `seq`. */
  | { readonly kind: 'two-receipts-one-seq'; readonly receipts: readonly [SignedReceipt, SignedReceipt] }
  /** One request, billed under two `seq`. */
  | { readonly kind: 'request-charged-twice'; readonly receipts: readonly [SignedReceipt, SignedReceipt] }
  /** Totals that do not add up: within one receipt, or from an earlier one to a later. */
  | {
      readonly kind: 'cumulative-mismatch'
      readonly receipts: readonly [SignedReceipt] | readonly [SignedReceipt, SignedReceipt]
    }
  /** A fee above what the request allows. The receipt names the request's hash, so no signature is needed. */
  | { readonly kind: 'fee-over-max'; readonly receipt: SignedReceipt; readonly request: InferenceRequest }
  /** A total above what the order holds. */
  | { readonly kind: 'over-amount'; readonly receipt: SignedReceipt }
  /** The chain paid more than the last receipt of the settlement says; `receipts` is empty where it counts none. */
  | {
      readonly kind: 'settlement-above-receipt'
      readonly settlement: SettledEvent
      readonly receipts: readonly [] | readonly [SignedReceipt]
    }
  /** The root on the chain is not that of the receipts that were handed out. */
  | {
      readonly kind: 'settlement-root-mismatch'
      readonly settlement: SettledEvent
      readonly receipts: readonly SignedReceipt[]
    }
  /** Question: a receipt for a request that was never signed. */
  | { readonly kind: 'unrequested'; readonly receipt: SignedReceipt }
  /** Question: a `seq` that leaves room for receipts that nobody has. `missing` holds the first hundred of them. */
  | { readonly kind: 'seq-out-of-line'; readonly receipt: SignedReceipt; readonly missing: readonly bigint[] }
  /** Question: the chain was told of receipts that nobody has. */
  | {
      readonly kind: 'settlement-above-receipts'
      readonly settlement: SettledEvent
      readonly held: number
      readonly cumulativeFee: bigint
    }

/** Receipts that a proof rests on. */
export function receiptsOf(proof: FraudProof): readonly SignedReceipt[] {
  if ('receipts' in proof) return proof.receipts
  return 'receipt' in proof ? [proof.receipt] : []
}
