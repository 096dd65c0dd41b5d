import type { Evidence } from './evidence.js'
import type { SettledEvent } from './fetchSettlements.js'
import type { FraudProof } from './fraud.js'
import { isRootOf } from './receiptRules.js'
import type { SeqIndex } from './seqIndex.js'

export type SettlementCheck =
  | { readonly status: 'consistent' }
  /** Requests without an answer may account for what is missing. Ask for their answers, and check again. */
  | { readonly status: 'incomplete'; readonly missing: readonly bigint[] }
  | { readonly status: 'fraud'; readonly proof: FraudProof }

/**
 * Compares a settlement with the receipts of its order.
 *
 * @param book `open`: requests without an answer, which may cost `reserved` base units
 */
export function judgeSettlement(
  settlement: SettledEvent,
  book: {
    readonly receipts: SeqIndex
    readonly evidence: Evidence
    readonly open: number
    readonly reserved: bigint
  },
): SettlementCheck {
  const { receipts: known, open, reserved } = book
  const { receiptCount, cumulativeFee } = settlement
  const last = known.get(receiptCount - 1n)
  const total = receiptCount === 0n ? 0n : last?.receipt.cumulativeFee
  if (total !== undefined && cumulativeFee > total) {
    const receipts = last === undefined ? ([] as const) : ([last] as const)
    return fraud({ kind: 'settlement-above-receipt', settlement, receipts })
  }
  if (receiptCount === 0n) return { status: 'consistent' }

  const held = known.below(receiptCount)
  const missing = receiptCount - BigInt(held.length)
  if (missing === 0n) {
    const receipts = held.map(({ receipt }) => receipt)
    const isRight = isRootOf(settlement, { receipts, evidence: book.evidence })
    return isRight ? { status: 'consistent' } : fraud({ kind: 'settlement-root-mismatch', settlement, receipts: held })
  }
  const most = held.reduce((sum, { receipt }) => sum + receipt.fee, 0n) + reserved
  if (missing <= BigInt(open) && cumulativeFee <= most) {
    return { status: 'incomplete', missing: known.missing(receiptCount) }
  }
  return fraud({ kind: 'settlement-above-receipts', settlement, held: held.length, cumulativeFee: most })
}

function fraud(proof: FraudProof): { readonly status: 'fraud'; readonly proof: FraudProof } {
  return { status: 'fraud', proof }
}
