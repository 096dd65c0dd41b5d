import { InferenceEscrow__factory } from '@opg/bindings'
import type { Address, Hex } from '@opg/protocol'
import type { TransactionReceipt } from 'ethers'
import type { Booking, OutboxEntry, RowOutcome } from '../store/outboxTypes.js'

const SKIP_REASONS = ['none', 'unknown', 'closed', 'late', 'overdrawn', 'stale', 'not-single']

const escrowInterface = InferenceEscrow__factory.createInterface()

/** What became of an entry, as the events of its transaction say, and nothing else. */
export function bookingOf(entry: OutboxEntry, receipt: TransactionReceipt, escrow: Address): Booking {
  const block = { number: receipt.blockNumber, hash: receipt.blockHash as Hex }
  if (receipt.status !== 1) return { state: 'reverted', block, rows: [] }
  const outcomes = new Map<string, RowOutcome>()
  for (const log of receipt.logs) {
    if (log.address !== escrow) continue
    const outcome = outcomeOf(entry, escrowInterface.parseLog(log))
    if (outcome !== undefined) outcomes.set(outcome.orderId, outcome)
  }
  return { state: 'confirmed', block, rows: [...outcomes.values()] }
}

function outcomeOf(entry: OutboxEntry, event: ReturnType<typeof escrowInterface.parseLog>): RowOutcome | undefined {
  const orderId = event?.args[0] as unknown
  const row = entry.settlements.find((settlement) => settlement.orderId === orderId)
  if (event === null || row === undefined) return undefined
  if (event.name === 'OrderSettled') {
    const { cumulativeFee, closed } = event.args.toObject() as { cumulativeFee: bigint; closed: boolean }
    return { orderId: row.orderId, outcome: 'settled', settled: true, closed, cumulativeFee }
  }
  if (event.name === 'OrderReleased') {
    return { orderId: row.orderId, outcome: 'released', settled: true, closed: true, cumulativeFee: row.cumulativeFee }
  }
  if (event.name === 'RowSkipped') {
    const { reason } = event.args.toObject() as { reason: bigint }
    const outcome = SKIP_REASONS[Number(reason)] ?? 'unknown'
    return { orderId: row.orderId, outcome, settled: false, closed: false, cumulativeFee: 0n }
  }
  return undefined
}
