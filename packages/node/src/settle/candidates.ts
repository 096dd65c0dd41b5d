import { type Hex, BPS } from '@opg/protocol'
import { amountOf, isSettledOnce, pinnedHash } from '../store/reservedSlice.js'
import type { ClosingReason, StoredOrder } from '../store/types.js'
import type { SettlePolicy } from './policy.js'

/** An order that could be settled now. */
export interface Candidate {
  readonly order: StoredOrder
  readonly close: ClosingReason | undefined
  /** Base units of the node's own share that a settlement would bring. */
  readonly netFees: bigint
  /** Waits no longer than until it is worth its gas. */
  readonly isUrgent: boolean
}

/** Candidates that one transaction can settle: orders of one `Terms`, or slices of one allocation. */
export interface Group {
  readonly candidates: readonly Candidate[]
}

export interface Moment {
  readonly nowMs: number
  /** The latest block's time or the clock's, whichever is later: what the chain will hold against `claimBy`. */
  readonly chainSeconds: number
}

// Measured: a batch costs this much however few rows it has, and a row that closes and refunds this much more.
const GAS_PER_BATCH = 60_000n
const GAS_PER_ROW = 23_000n
/** Closes that the payer is promised, whatever they cost. */
const PROMISED: readonly ClosingReason[] = ['requested', 'answered', 'failed']

/** The candidate that an order is, if any. */
export function candidateOf(order: StoredOrder, policy: SettlePolicy, moment: Moment): Candidate | undefined {
  const { claimBy } = order.order
  if (order.chain !== 'open' || order.inFlight || order.blocked !== undefined) return undefined
  if (moment.chainSeconds >= claimBy) return undefined // the chain would pass over it

  const unsettled = order.cumulativeFee > order.released ? order.cumulativeFee - order.released : 0n
  const close = closingReason(order, policy, moment)
  const canClose = close !== undefined && order.reservations === 0
  if (!canClose && (unsettled === 0n || isSettledOnce(order))) return undefined

  const netBps = BPS - order.networkBps - order.royaltyBps - order.terms.facilitatorBps
  const waitedMs = moment.nowMs - (order.unsettledSinceMs ?? moment.nowMs)
  return {
    order,
    close,
    netFees: (unsettled * BigInt(netBps)) / BigInt(BPS),
    isUrgent: waitedMs >= policy.maxAgeSeconds * 1000 || isNear(claimBy, policy, moment),
  }
}

function closingReason(order: StoredOrder, policy: SettlePolicy, moment: Moment): ClosingReason | undefined {
  if (order.closing !== undefined) return order.closing
  if (order.receiptCount === 0n) return undefined
  if (pinnedHash(order.order) !== undefined) return 'single'
  if (amountOf(order) - order.cumulativeFee < policy.minUsefulRest) return 'exhausted'
  if (isNear(order.order.claimBy, policy, moment)) return 'expiring'
  const { idleCloseSeconds } = policy
  const isIdle = idleCloseSeconds !== undefined && moment.nowMs - order.activeAtMs >= idleCloseSeconds * 1000
  return isIdle ? 'idle' : undefined
}

function isNear(claimBy: number, policy: SettlePolicy, { chainSeconds }: Moment): boolean {
  return claimBy - chainSeconds <= policy.closeBeforeClaimBySeconds
}

/** Splits candidates into what single transactions take: one `Terms` or one allocation each, within the batch's limits, nearest first. */
export function groupsOf(candidates: readonly Candidate[], policy: SettlePolicy): readonly Group[] {
  const byKind = new Map<Hex, Candidate[]>()
  for (const candidate of [...candidates].sort((a, b) => a.order.order.claimBy - b.order.order.claimBy)) {
    const { termsHash, slice } = candidate.order
    const kind = slice?.allocationId ?? termsHash
    byKind.set(kind, [...(byKind.get(kind) ?? []), candidate])
  }
  return [...byKind.values()].flatMap((all) => split(all, policy))
}

function split(candidates: readonly Candidate[], policy: SettlePolicy): readonly Group[] {
  const groups: Candidate[][] = []
  let [last, transfers] = [[] as Candidate[], 0]
  // One transfer is kept for a claim.
  const maxRefunds = Math.max(1, policy.maxTransfersPerBatch - 1)
  for (const candidate of candidates) {
    const refunds = candidate.close === undefined ? 0 : 1
    if (last.length === 0 || last.length >= policy.batchSize || transfers + refunds > maxRefunds) {
      last = []
      transfers = 0
      groups.push(last)
    }
    last.push(candidate)
    transfers += refunds
  }
  return groups.map((group) => ({ candidates: group }))
}

/** Whether a group is worth a transaction now. `gasPrice` in wei. */
export function isWorthwhile({ candidates }: Group, policy: SettlePolicy, gasPrice: bigint): boolean {
  if (candidates.some(({ close }) => close !== undefined && PROMISED.includes(close))) return true
  const fees = candidates.reduce((sum, { netFees }) => sum + netFees, 0n)
  const wei = (GAS_PER_BATCH + GAS_PER_ROW * BigInt(candidates.length)) * gasPrice
  const cost = (wei * policy.opgPerWei.numerator) / policy.opgPerWei.denominator
  if (fees === 0n) return false
  return fees >= cost * policy.feesOverGas || (fees >= cost && candidates.some(({ isUrgent }) => isUrgent))
}
