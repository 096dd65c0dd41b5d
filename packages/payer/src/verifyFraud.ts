import { type Hex, domainSeparator, requestId } from '@opg/protocol'
import type { EscrowInfo } from './escrowInfo.js'
import { type Evidence, isSignedBy } from './evidence.js'
import { type FraudProof, receiptsOf } from './fraud.js'
import { addUp, isRootOf, sameReceipt } from './receiptRules.js'
import { type OrderOrSlice, tabOf } from './tab.js'

export type FraudVerdict =
  | { readonly status: 'proven'; readonly orderId: Hex }
  /** Not proven by itself: the node must show what `question` asks for, or is guilty. */
  | { readonly status: 'question'; readonly orderId: Hex; readonly question: string }
  | { readonly status: 'refuted'; readonly orderId: Hex; readonly reason: string }

/**
 * Judges a fraud proof from its contents alone: the receipts' signatures, the order that they belong to, and the rule
 * that they break. A settlement in the proof is taken as it is given; compare it with `fetchSettlements`.
 *
 * @param against the order or slice, and evidence that whoever judges made himself from its terms
 * @throws {InvalidInputError}
 */
export function verifyFraud(
  proof: FraudProof,
  against: OrderOrSlice & { readonly escrow: EscrowInfo; readonly evidence: Evidence },
): FraudVerdict {
  const { escrow, evidence } = against
  const { orderId, holder, amount } = tabOf(escrow, against)
  const refuted = (reason: string): FraudVerdict => ({ status: 'refuted', orderId, reason })

  const separator = domainSeparator(escrow)
  for (const signed of receiptsOf(proof)) {
    if (signed.receipt.orderId !== orderId) return refuted('a receipt is of another order')
    if (signed.receipt.node !== holder.node) return refuted('a receipt is of another node')
    if (!isSignedBy(signed, { evidence, separator })) return refuted('a receipt is not signed by the evidence key')
  }
  if ('settlement' in proof && proof.settlement.orderId !== orderId)
    return refuted('the settlement is of another order')

  const broken = breaks(proof, { amount, evidence })
  if (broken !== true) return refuted(broken)
  const question = questionOf(proof)
  return question === undefined ? { status: 'proven', orderId } : { status: 'question', orderId, question }
}

/** True where the evidence breaks the rule that the proof names; otherwise why it does not. */
function breaks(
  proof: FraudProof,
  { amount, evidence }: { readonly amount: bigint; readonly evidence: Evidence },
): true | string {
  switch (proof.kind) {
    case 'two-receipts-one-seq': {
      const [a, b] = proof.receipts
      if (a.receipt.seq !== b.receipt.seq) return 'the receipts have different seq'
      return !sameReceipt(a.receipt, b.receipt) || 'the receipts are one and the same'
    }
    case 'request-charged-twice': {
      const [a, b] = proof.receipts
      if (a.receipt.requestId !== b.receipt.requestId) return 'the receipts are for different requests'
      return a.receipt.seq !== b.receipt.seq || 'the receipts have one seq'
    }
    case 'cumulative-mismatch': {
      const [first, second] = proof.receipts
      return !addUp(first.receipt, second?.receipt) || 'the totals add up'
    }
    case 'fee-over-max':
      if (requestId(proof.request) !== proof.receipt.receipt.requestId) return 'the receipt is for another request'
      return proof.receipt.receipt.fee > proof.request.maxFee || 'the fee is within maxFee'
    case 'over-amount':
      return proof.receipt.receipt.cumulativeFee > amount || 'the total is within the amount'
    case 'settlement-above-receipt': {
      const last = proof.receipts[0]?.receipt
      const [count, total] = last === undefined ? [0n, 0n] : [last.seq + 1n, last.cumulativeFee]
      if (count !== proof.settlement.receiptCount) return 'the receipt is not the last one settled'
      return proof.settlement.cumulativeFee > total || 'the settlement is not above the receipt'
    }
    case 'settlement-root-mismatch': {
      const receipts = proof.receipts.map(({ receipt }) => receipt)
      if (BigInt(receipts.length) !== proof.settlement.receiptCount)
        return 'these are not all receipts of the settlement'
      if (receipts.some((receipt, i) => receipt.seq !== BigInt(i)))
        return 'the receipts are not in the order of their seq'
      return !isRootOf(proof.settlement, { receipts, evidence }) || 'the root is that of the receipts'
    }
    case 'unrequested':
    case 'seq-out-of-line':
      return true
    case 'settlement-above-receipts':
      return (
        proof.settlement.receiptCount > BigInt(proof.held) || 'the settlement counts no more receipts than are held'
      )
  }
}

function questionOf(proof: FraudProof): string | undefined {
  switch (proof.kind) {
    case 'unrequested':
      return `Which signed request has the id ${proof.receipt.receipt.requestId}?`
    case 'seq-out-of-line':
      return `Which receipts, for which signed requests, have seq ${proof.missing.map(String).join(', ')}?`
    case 'settlement-above-receipts':
      return `Which ${proof.settlement.receiptCount.toString()} receipts, for which signed requests, does the settlement in ${proof.settlement.transactionHash} count?`
    default:
      return undefined
  }
}
