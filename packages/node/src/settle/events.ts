import { InferenceEscrow__factory } from '@opg/bindings'
import type { Address, Hex } from '@opg/protocol'
import type { TransactionReceipt } from 'ethers'
import type { Booking, OutboxEntry, RowOutcome } from '../store/outboxTypes.js'

/** `SkipReason` of the escrow, by number. */
const SKIP_REASONS = [
  'none',
  'unknown',
  'closed',
  'late',
  'overdrawn',
  'stale',
  'not-single',
  'not-payable',
  'wrong-key',
  'refused',
]

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
  if (event === null) return undefined
  const members = event.args.toObject() as Readonly<Record<string, unknown>>
  const id = event.name === 'SliceSettled' ? members['sliceId'] : members['orderId']
  const row = entry.settlements.find((settlement) => settlement.orderId === id)
  if (row === undefined) return undefined
  if (event.name === 'OrderSettled') {
    // It was settled as it was asked for, so it is closed where that was asked for.
    const { orderId, close: closed } = row
    return { orderId, outcome: 'settled', settled: true, closed, cumulativeFee: members['cumulativeFee'] as bigint }
  }
  if (event.name === 'SliceSettled') {
    const cumulativeFee = members['fee'] as bigint
    return { orderId: row.orderId, outcome: 'settled', settled: true, closed: true, cumulativeFee }
  }
  if (event.name === 'OrderReleased') {
    return { orderId: row.orderId, outcome: 'released', settled: true, closed: true, cumulativeFee: row.cumulativeFee }
  }
  if (event.name === 'RowSkipped') {
    const outcome = SKIP_REASONS[Number(members['reason'])] ?? 'unknown'
    return { orderId: row.orderId, outcome, settled: false, closed: false, cumulativeFee: 0n }
  }
  return undefined
}
