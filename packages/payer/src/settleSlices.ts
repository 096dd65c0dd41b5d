import { InferenceEscrow__factory } from '@opg/bindings'
import type { Signer, TransactionReceipt } from 'ethers'
import {
  type Allocation,
  type Hex,
  InvalidInputError,
  type SliceHolder,
  type SliceRow,
  allocationId,
  allocationRoot,
  parseAddress,
  parseAllocation,
  parseBytes,
  parseBytes32,
  sliceId,
  sliceProof,
  toWire,
} from '@opg/protocol'
import { asHex, hashOf, providerOf, simulate, transact } from './chain.js'
import { orderIdOf } from './createWorkOrder.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkCount, checkList, checkUint } from './input.js'
import { checkRouted } from './prepareAllocation.js'
import type { OrderWithTerms } from './reclaim.js'
import { routedStatus } from './routedStatus.js'

const escrowInterface = InferenceEscrow__factory.createInterface()

/** Enough for every verifier of this project, an enclave's key that is not cached included. */
export const DEFAULT_GAS_PER_SLICE = 300_000
const MAX_GAS_PER_SLICE = 5_000_000
const readEvidence = parseBytes({ min: 0, max: 8_192 })
/** `SkipReason` of the escrow. */
const SKIP_REASONS = [
  'None',
  'Unknown',
  'Closed',
  'Late',
  'Overdrawn',
  'Stale',
  'NotSingle',
  'NotPayable',
  'WrongKey',
  'Refused',
] as const

export type SliceOutcome =
  /** Its node was paid `nodeFee` base units. */
  | { readonly status: 'settled'; readonly sliceId: Hex; readonly nodeFee: bigint }
  /** As the escrow names it, or `NotOfAllocation`: the row's node or key is not the slice's. */
  | {
      readonly status: 'skipped'
      readonly sliceId: Hex
      readonly reason: (typeof SKIP_REASONS)[number] | 'NotOfAllocation' | 'Duplicate'
    }

export type SliceSettling =
  | {
      readonly status: 'sent'
      readonly txHash: Hex
      readonly gasUsed: bigint
      /** One for each row, in its place. */
      readonly rows: readonly SliceOutcome[]
    }
  /** No row would be settled, so nothing was sent. */
  | { readonly status: 'nothing-to-settle'; readonly rows: readonly SliceOutcome[] }
  | { readonly status: 'refused'; readonly reason: string; readonly detail: string }

/** A routed order with one allocation of it, as `prepareAllocation` gives it. */
export interface AllocatedOrder extends OrderWithTerms {
  readonly allocation: Allocation
  /** All holders of the allocation, by index. */
  readonly holders: readonly SliceHolder[]
}

interface Candidate {
  /** Place in what the caller gave. */
  readonly place: number
  readonly row: SliceRow
}

/**
 * Settles slices of one allocation with rows that their nodes gave, in one transaction; each node is paid at once. Anyone
 * may; the signer pays the gas. Rows are nobody's word: one that the escrow would pass over is left out and reported, and
 * holds up no other (E8).
 *
 * @throws {InvalidInputError} if a row is malformed, or the holders are not the allocation's
 * @throws {ChainUnavailableError}
 */
export async function settleSlices(
  signer: Signer,
  options: AllocatedOrder & {
    readonly escrow: EscrowInfo
    readonly rows: readonly SliceRow[]
    /** The most that the verifier may spend on a slice. */
    readonly gasPerSlice?: number
  },
): Promise<SliceSettling> {
  const batch = batchOf(options)
  const fitting = batch.rows.filter(({ row }) => isHeldBy(row, batch.holders[row.index]))
  const chosen = await choose(signer, { batch, rows: fitting })
  if (chosen.length === 0) {
    return { status: 'nothing-to-settle', rows: await explain(signer, { batch, outcomes: new Map() }) }
  }
  const isComplete = (returned: string): boolean => settledBy(returned) >= chosen.length
  const result = await transact(signer, {
    call: callOf(batch, chosen),
    interfaces: [escrowInterface],
    action: 'settle slices',
    isWorthwhile: (returned) => settledBy(returned) > 0,
    completeness: { isComplete, gasOnTop: BigInt(chosen.length * batch.gasPerSlice) },
  })
  if (result.status === 'reverted') return { status: 'refused', ...result.revert }
  if (result.status === 'not-sent') {
    return { status: 'nothing-to-settle', rows: await explain(signer, { batch, outcomes: new Map() }) }
  }
  const outcomes = outcomesIn(result.receipt, { batch, chosen })
  const rows = await explain(signer, { batch, outcomes })
  return { status: 'sent', txHash: hashOf(result.receipt), gasUsed: result.receipt.gasUsed, rows }
}

interface Batch extends AllocatedOrder {
  readonly escrow: EscrowInfo
  readonly allocationId: Hex
  readonly rows: readonly Candidate[]
  readonly gasPerSlice: number
}

function batchOf(options: Parameters<typeof settleSlices>[1]): Batch {
  const { escrow } = options
  const { terms, order } = checkRouted(options)
  const allocation = parseAllocation(toWire(options.allocation), 'allocation')
  const holders = checkList(options.holders, { field: 'holders', min: 1 }).map(({ node, evidenceKey }, i) => ({
    node: parseAddress(node, `holders[${String(i)}].node`),
    evidenceKey: parseBytes32(evidenceKey, `holders[${String(i)}].evidenceKey`),
  }))
  if (holders.length !== allocation.count || allocationRoot(holders) !== allocation.root) {
    const expected = `the ${String(allocation.count)} holders of the allocation, by index`
    throw new InvalidInputError({ field: 'holders', expected, value: holders })
  }
  const gasPerSlice = checkCount(options.gasPerSlice ?? DEFAULT_GAS_PER_SLICE, {
    field: 'gasPerSlice',
    min: 1,
    max: MAX_GAS_PER_SLICE,
  })
  const rows = checkList(options.rows, { field: 'rows', min: 1 }).map((row, place) => ({
    place,
    row: checkRow(row, { field: `rows[${String(place)}]`, count: allocation.count }),
  }))
  const id = allocationId(orderIdOf(escrow, { terms, order }), allocation)
  return { escrow, terms, order, allocation, holders, allocationId: id, rows, gasPerSlice }
}

function checkRow(row: SliceRow, { field, count }: { readonly field: string; readonly count: number }): SliceRow {
  return {
    index: checkCount(row.index, { field: `${field}.index`, min: 0, max: count - 1 }),
    node: parseAddress(row.node, `${field}.node`),
    evidenceKey: parseBytes32(row.evidenceKey, `${field}.evidenceKey`),
    fee: checkUint(row.fee, { field: `${field}.fee`, bits: 96 }),
    receiptsRoot: parseBytes32(row.receiptsRoot, `${field}.receiptsRoot`),
    receiptCount: checkUint(row.receiptCount, { field: `${field}.receiptCount`, bits: 64 }),
    evidence: readEvidence(row.evidence, `${field}.evidence`),
  }
}

/** A row of another node or key is in no proof, and would make the whole call revert. */
function isHeldBy(row: SliceRow, holder: SliceHolder | undefined): boolean {
  return row.node === holder?.node && row.evidenceKey === holder.evidenceKey
}

/** The rows that the escrow would settle, in order of their indexes: all, or those that it would settle alone. */
async function choose(
  signer: Signer,
  { batch, rows }: { readonly batch: Batch; readonly rows: readonly Candidate[] },
): Promise<readonly Candidate[]> {
  const sorted = [...rows].sort((a, b) => a.row.index - b.row.index)
  const isDistinct = new Set(sorted.map(({ row }) => row.index)).size === sorted.length
  if (isDistinct && (await countSettled(signer, { batch, rows: sorted })) === sorted.length) return sorted
  const counts = await Promise.all(sorted.map((candidate) => countSettled(signer, { batch, rows: [candidate] })))
  const good = sorted.filter((_, i) => counts[i] === 1)
  // Anybody can send a row for anybody's slice, so it is the first good one that counts, not the first.
  return good.filter(({ row }, i) => row.index !== good[i - 1]?.row.index)
}

async function countSettled(
  signer: Signer,
  { batch, rows }: { readonly batch: Batch; readonly rows: readonly Candidate[] },
): Promise<number> {
  const call = callOf(batch, rows)
  const result = await simulate(signer, { call, interfaces: [escrowInterface], action: 'settle slices' })
  return result.status === 'returned' ? settledBy(result.data) : 0
}

function callOf(batch: Batch, candidates: readonly Candidate[]) {
  const { escrow, terms, order, allocation, holders, gasPerSlice } = batch
  const rows = candidates.map(({ row }) => row)
  const proof = sliceProof(
    holders,
    rows.map(({ index }) => index),
  )
  const args = [terms, order, allocation, rows, proof, gasPerSlice] as const
  return { to: escrow.escrow, data: escrowInterface.encodeFunctionData('settleSlices', [...args]) }
}

function settledBy(returned: string): number {
  return Number(escrowInterface.decodeFunctionResult('settleSlices', returned)[0])
}

function outcomesIn(
  receipt: TransactionReceipt,
  { batch, chosen }: { readonly batch: Batch; readonly chosen: readonly Candidate[] },
): ReadonlyMap<number, SliceOutcome> {
  const byId = new Map<Hex, SliceOutcome>()
  for (const log of receipt.logs) {
    if (log.address.toLowerCase() !== batch.escrow.escrow.toLowerCase()) continue
    const parsed = escrowInterface.parseLog(log)
    if (parsed?.name === 'SliceSettled') {
      const id = asHex(String(parsed.args.sliceId))
      byId.set(id, { status: 'settled', sliceId: id, nodeFee: BigInt(String(parsed.args.nodeFee)) })
    } else if (parsed?.name === 'RowSkipped') {
      const id = asHex(String(parsed.args.orderId))
      const reason = SKIP_REASONS[Number(parsed.args.reason)] ?? 'Refused'
      byId.set(id, { status: 'skipped', sliceId: id, reason })
    }
  }
  const found = new Map<number, SliceOutcome>()
  for (const { place, row } of chosen) {
    const outcome = byId.get(sliceId(batch.allocationId, row.index))
    if (outcome !== undefined) found.set(place, outcome)
  }
  return found
}

/** Says of each row what became of it; of one that was left out, why the escrow would pass over it. */
async function explain(
  signer: Signer,
  { batch, outcomes }: { readonly batch: Batch; readonly outcomes: ReadonlyMap<number, SliceOutcome> },
): Promise<readonly SliceOutcome[]> {
  const { allocation, holders, rows } = batch
  const settled = new Set(
    rows.flatMap(({ place, row }) => (outcomes.get(place)?.status === 'settled' ? [row.index] : [])),
  )
  const isTold = rows.every(({ place }) => outcomes.has(place))
  const status = isTold ? undefined : await routedStatus(providerOf(signer), { ...batch, allocations: [allocation] })
  const [allocated] = status?.allocations ?? []
  const reasonOf = (row: SliceRow): Extract<SliceOutcome, { readonly status: 'skipped' }>['reason'] => {
    if (!isHeldBy(row, holders[row.index])) return 'NotOfAllocation'
    if (settled.has(row.index)) return 'Duplicate'
    if (allocated?.isAllocated !== true) return 'Unknown'
    if (status?.order.status === 'closed' || !allocated.unsettled.includes(row.index)) return 'Closed'
    if (status?.order.status === 'reclaimable') return 'Late'
    return row.fee > allocation.cap ? 'Overdrawn' : 'Refused'
  }
  return rows.map(({ place, row }) => {
    const id = sliceId(batch.allocationId, row.index)
    return outcomes.get(place) ?? { status: 'skipped', sliceId: id, reason: reasonOf(row) }
  })
}
