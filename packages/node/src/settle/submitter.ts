import type { Logger } from '@opg/operator'
import { type Address, type Settlement, structDigest, treeRoot } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import { type AcceptedVerifier, type OrderProof, verifierFor } from '../receipts/acceptedVerifier.js'
import type { LaneLease, OutboxEntry } from '../store/outboxTypes.js'
import { evidenceKeyOf } from '../store/reservedSlice.js'
import type { NodeStore, StoredOrder } from '../store/types.js'
import { type SettledOrder, type SettledSlice, releaseCall, settleCall } from './calls.js'
import type { Candidate, Group } from './candidates.js'
import type { Outbox } from './outbox.js'
import type { SettlePolicy } from './policy.js'
import type { SliceSender } from './sliceSender.js'

/** Turns a group of candidates into transactions: plans, proves, sends. */
export interface Submitter {
  submit(lease: LaneLease, group: Group): Promise<readonly OutboxEntry[]>
  /** Gives an order or a slice back to the payer's side. Undefined where the chain, or its verifier, would not take it. */
  giveBack(lease: LaneLease, order: StoredOrder): Promise<OutboxEntry | undefined>
}

export interface SubmitterDependencies {
  readonly store: NodeStore
  readonly chain: EscrowReader
  readonly verifiers: readonly AcceptedVerifier[]
  readonly node: Address
  readonly policy: SettlePolicy
  readonly outbox: Outbox
  readonly slices: SliceSender
  readonly logger: Logger
  /** Keeps the lane while evidence is waited for, which others may have to give. */
  readonly keepingLane: <T>(work: () => Promise<T>) => Promise<T>
}

/** What is settled, with what proves it. */
interface Provable extends OrderProof {
  readonly settlement: Settlement
}

export function createSubmitter(dependencies: SubmitterDependencies): Submitter {
  const { store, chain, verifiers, node, policy, outbox, slices, logger, keepingLane } = dependencies

  async function submit(lease: LaneLease, { candidates }: Group): Promise<readonly OutboxEntry[]> {
    const settlements = await store.planSettlements(
      lease,
      candidates.map(({ order, close }) => ({ orderId: order.orderId, close })),
    )
    const planned = await Promise.all(settlements.map((settlement) => proofOf(candidates, settlement)))
    const isRouted = candidates[0]?.order.slice !== undefined
    return isRouted ? submitSlices(lease, planned.flat()) : submitOrders(lease, { candidates, planned: planned.flat() })
  }

  async function proofOf(candidates: readonly Candidate[], settlement: Settlement): Promise<readonly Provable[]> {
    const order = candidates.find((candidate) => candidate.order.orderId === settlement.orderId)?.order
    return order === undefined ? [] : [await withProof(order, settlement)]
  }

  /** The order as the books have it now: its voucher may be newer than the candidate's. */
  async function withProof(candidate: StoredOrder, settlement: Settlement): Promise<Provable> {
    const { orderId, receiptCount } = settlement
    const order = (await store.order(orderId)) ?? candidate
    const [lastReceipt] =
      receiptCount === 0n ? [] : await store.receipts(orderId, { from: receiptCount - 1n, limit: 1 })
    return { order, settlement, lastReceipt, lastAnswer: () => store.lastAnswer(orderId) }
  }

  async function submitOrders(
    lease: LaneLease,
    { candidates, planned }: { readonly candidates: readonly Candidate[]; readonly planned: readonly Provable[] },
  ): Promise<readonly OutboxEntry[]> {
    const fitted = planned.map((proof) => ({ proof, settlement: provableOf(proof) }))
    const rows = fitted.flatMap(({ proof, settlement }) => (settlement === undefined ? [] : [{ ...proof, settlement }]))
    const sent = [...(await submitRows(lease, { rows, candidates }))]
    // A close that was promised, and that no evidence can bring: it is given back without.
    for (const { proof, settlement } of fitted) {
      const { order } = proof
      const isPromised = proof.settlement.close && (order.closing === 'requested' || order.closing === 'failed')
      if (settlement !== undefined || !isPromised || order.cumulativeFee > order.released) continue
      const entry = await giveBack(lease, order)
      if (entry !== undefined) sent.push(entry)
    }
    return sent
  }

  /** In one transaction; where the chain would not take that, and each row has evidence of its own, one by one. */
  async function submitRows(
    lease: LaneLease,
    { rows, candidates }: { readonly rows: readonly Provable[]; readonly candidates: readonly Candidate[] },
  ): Promise<readonly OutboxEntry[]> {
    const [first, ...others] = rows
    const evidence = await proveAll(rows)
    if (first === undefined || evidence === undefined) return []
    const data = settleCall([first, ...others], { evidence, withClaim: await isWorthClaiming(candidates) })
    const settlements = rows.map(({ settlement }) => settlement)
    const entry = await outbox.submit(lease, { kind: 'settle', data, settlements })
    if (entry !== undefined) return [entry]
    if (others.length === 0 || verifierOf(first.order)?.provesEach !== true) return []
    const entries: OutboxEntry[] = []
    for (const row of rows) entries.push(...(await submitRows(lease, { rows: [row], candidates })))
    return entries
  }

  async function submitSlices(lease: LaneLease, planned: readonly Provable[]): Promise<readonly OutboxEntry[]> {
    const rows: SettledSlice[] = []
    for (const proof of planned) {
      const row = await provedSlice(proof)
      if (row !== undefined) rows.push(row)
    }
    return slices.send(lease, { rows, kind: 'settle' })
  }

  /** Each slice has evidence of its own. */
  async function provedSlice(proof: Provable): Promise<SettledSlice | undefined> {
    const { slice } = proof.order
    const settlement = provableOf(proof)
    if (slice === undefined || settlement === undefined) return undefined
    const evidence = await proveAll([{ ...proof, settlement }])
    return evidence === undefined ? undefined : { order: proof.order, slice, settlement, evidence }
  }

  function provableOf({ settlement, ...proof }: Provable): Settlement | undefined {
    const provable = verifierOf(proof.order)?.provable(settlement, proof)
    if (provable === undefined) {
      const { verifier } = proof.order.terms
      const fields = { orderId: proof.order.orderId, verifier, evidenceKey: evidenceKeyOf(proof.order) }
      logger.warn({ ...fields, close: settlement.close }, 'no evidence for this settlement')
    }
    return provable
  }

  async function proveAll(rows: readonly Provable[]): Promise<SettledSlice['evidence'] | undefined> {
    const first = rows[0]?.order
    const verifier = first === undefined ? undefined : verifierOf(first)
    if (first === undefined || verifier === undefined) return undefined
    const { terms } = first
    const evidenceKey = evidenceKeyOf(first)
    const settlements = rows.map(({ settlement }) => settlement)
    const digest = structDigest(chain.separator, { name: 'SettlementBatch', value: { node, evidenceKey, settlements } })
    const { chainId, escrow } = chain
    const batch = { chainId, escrow, terms, node, evidenceKey, settlements, proofs: rows, digest }
    return keepingLane(() => verifier.prove(batch))
  }

  function verifierOf(order: StoredOrder): AcceptedVerifier | undefined {
    return verifierFor(verifiers, { verifier: order.terms.verifier, evidenceKey: evidenceKeyOf(order) })
  }

  async function isWorthClaiming(candidates: readonly Candidate[]): Promise<boolean> {
    if (policy.claimThreshold === undefined) return false
    const coming = candidates.reduce((sum, { netFees }) => sum + netFees, 0n)
    return coming + (await chain.credits(node)) >= policy.claimThreshold
  }

  async function giveBack(lease: LaneLease, order: StoredOrder): Promise<OutboxEntry | undefined> {
    const { orderId, receiptCount, released } = order
    if (order.slice !== undefined) {
      const settlement = { orderId, cumulativeFee: 0n, receiptsRoot: treeRoot(order.tree), receiptCount, close: true }
      const row = await provedSlice(await withProof(order, settlement))
      const [entry] = row === undefined ? [] : await slices.send(lease, { rows: [row], kind: 'release' })
      return entry
    }
    // The row is for the books only: nothing of it is signed or settled.
    const row: SettledOrder = {
      order,
      settlement: { orderId, cumulativeFee: released, receiptsRoot: orderId, receiptCount, close: true },
    }
    return outbox.submit(lease, { kind: 'release', data: releaseCall(order), settlements: [row.settlement] })
  }

  return { submit, giveBack }
}
