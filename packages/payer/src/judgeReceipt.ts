import type { InferenceRequest, SignedReceipt } from '@opg/protocol'
import type { FraudProof } from './fraud.js'
import { addUp } from './receiptRules.js'
import type { SeqIndex } from './seqIndex.js'

/** What was there before a receipt. */
interface Before {
  readonly receipts: SeqIndex
  /** The receipt that its request has already. */
  readonly sameRequest: SignedReceipt | undefined
  /** The request that it is for, if it was signed. */
  readonly request: InferenceRequest | undefined
  /** How many requests were signed. */
  readonly requests: number
  /** Base units: what the order, or the slice, holds. */
  readonly amount: bigint
}

/** The first rule that a receipt breaks, given all that came before it. */
export function judgeReceipt(
  signed: SignedReceipt,
  { receipts, sameRequest, request, requests, amount }: Before,
): FraudProof | undefined {
  const { receipt } = signed
  const sameSeq = receipts.get(receipt.seq)
  if (sameSeq !== undefined) return { kind: 'two-receipts-one-seq', receipts: [sameSeq, signed] }
  if (sameRequest !== undefined) return { kind: 'request-charged-twice', receipts: [sameRequest, signed] }
  if (request === undefined) return { kind: 'unrequested', receipt: signed }
  if (receipt.fee > request.maxFee) return { kind: 'fee-over-max', receipt: signed, request }
  if (!addUp(receipt)) return { kind: 'cumulative-mismatch', receipts: [signed] }
  if (receipt.cumulativeFee > amount) return { kind: 'over-amount', receipt: signed }
  const [before, after] = receipts.around(receipt.seq)
  if (before !== undefined && !addUp(before.receipt, receipt)) return mismatch(before, signed)
  if (after !== undefined && !addUp(receipt, after.receipt)) return mismatch(signed, after)
  // Each request has one receipt at most, so the last seq is below their number.
  if (receipt.seq >= BigInt(requests)) {
    return { kind: 'seq-out-of-line', receipt: signed, missing: receipts.missing(receipt.seq) }
  }
  return undefined
}

function mismatch(earlier: SignedReceipt, later: SignedReceipt): FraudProof {
  return { kind: 'cumulative-mismatch', receipts: [earlier, later] }
}
