import { InferenceEscrow__factory, permit2Abi } from '@opg/bindings'
import { Interface, type Signer, type TransactionReceipt } from 'ethers'
import type { Hex, SignedOrder, Terms } from '@opg/protocol'
import { asHex, hashOf, simulate, transact } from './chain.js'
import { orderIdOf } from './createWorkOrder.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkCount, checkList, checkSignedOrder, checkTerms } from './input.js'
import { openedIds } from './sendOpening.js'

const escrowInterface = InferenceEscrow__factory.createInterface()
const INTERFACES = [escrowInterface, new Interface(permit2Abi)]

/** Enough for a pull signed by a key. A smart wallet's own check may need more. */
export const DEFAULT_GAS_PER_ORDER = 150_000
const MAX_GAS_PER_ORDER = 5_000_000

export type BatchedOpening =
  | { readonly status: 'opened'; readonly orderId: Hex }
  | { readonly status: 'already-open'; readonly orderId: Hex }
  /** Advisory, never final: it may open later. */
  | { readonly status: 'failed'; readonly orderId: Hex; readonly reason: string; readonly detail: string }

export type BatchOpening =
  | {
      readonly status: 'sent'
      readonly txHash: Hex
      readonly gasUsed: bigint
      /** One for each order, in its place. */
      readonly orders: readonly BatchedOpening[]
    }
  /** No order of the batch would open, so nothing was sent. */
  | { readonly status: 'nothing-to-open'; readonly orders: readonly BatchedOpening[] }
  /** The escrow refuses the batch as a whole, because of what its orders share. */
  | { readonly status: 'refused'; readonly reason: string; readonly detail: string }

/**
 * Opens orders of one `Terms` in one transaction. One that cannot open does not hold up the others (E8).
 *
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function openBatch(
  signer: Signer,
  options: {
    readonly escrow: EscrowInfo
    readonly terms: Terms
    readonly signedOrders: readonly SignedOrder[]
    /** Gas that each order gets for its pull, exactly. */
    readonly gasPerOrder?: number
  },
): Promise<BatchOpening> {
  const { escrow } = options
  const terms = checkTerms(options.terms)
  const signedOrders = checkList(options.signedOrders, { field: 'signedOrders', min: 1 }).map((signed, i) =>
    checkSignedOrder(signed, `signedOrders[${String(i)}]`),
  )
  const gasPerOrder = checkCount(options.gasPerOrder ?? DEFAULT_GAS_PER_ORDER, {
    field: 'gasPerOrder',
    min: 1,
    max: MAX_GAS_PER_ORDER,
  })
  const batch = { signer, escrow, terms, signedOrders }
  const result = await transact(signer, {
    call: {
      to: escrow.escrow,
      data: escrowInterface.encodeFunctionData('openBatch', [terms, signedOrders, gasPerOrder]),
    },
    interfaces: INTERFACES,
    action: 'open orders',
    isWorthwhile: (returned) =>
      (escrowInterface.decodeFunctionResult('openBatch', returned)[0] as boolean[]).includes(true),
  })
  if (result.status === 'reverted') return { status: 'refused', ...result.revert }
  if (result.status === 'not-sent') return { status: 'nothing-to-open', orders: await explain(batch, new Set()) }
  return {
    status: 'sent',
    txHash: hashOf(result.receipt),
    gasUsed: result.receipt.gasUsed,
    orders: await explain(batch, openedIds(result.receipt, escrow), failedIds(result.receipt, escrow)),
  }
}

/** Says of each order what became of it; of one that failed, by simulating it alone, which gives the cause behind it. */
async function explain(
  batch: {
    readonly signer: Signer
    readonly escrow: EscrowInfo
    readonly terms: Terms
    readonly signedOrders: readonly SignedOrder[]
  },
  opened: ReadonlySet<Hex>,
  failed?: ReadonlyMap<Hex, string>,
): Promise<readonly BatchedOpening[]> {
  const { signer, escrow, terms, signedOrders } = batch
  return Promise.all(
    signedOrders.map(async (signed): Promise<BatchedOpening> => {
      const orderId = orderIdOf(escrow, { terms, order: signed.order })
      if (opened.has(orderId)) return { status: 'opened', orderId }
      const advisory = failed?.get(orderId)
      if (failed !== undefined && advisory === undefined) return { status: 'already-open', orderId }
      const call = { to: escrow.escrow, data: escrowInterface.encodeFunctionData('open', [terms, signed]) }
      const alone = await simulate(signer, { call, interfaces: INTERFACES, action: 'open an order' })
      if (alone.status === 'reverted') return { status: 'failed', orderId, ...alone.revert }
      if (advisory === undefined && !escrowInterface.decodeFunctionResult('open', alone.data)[0]) {
        return { status: 'already-open', orderId }
      }
      const detail = 'it failed in the batch and would open alone now: its pull may need more gas than gasPerOrder'
      return { status: 'failed', orderId, reason: advisory ?? 'PullFailed', detail }
    }),
  )
}

function failedIds(receipt: TransactionReceipt, escrow: EscrowInfo): ReadonlyMap<Hex, string> {
  const failed = new Map<Hex, string>()
  for (const log of receipt.logs) {
    if (log.address.toLowerCase() !== escrow.escrow.toLowerCase()) continue
    const parsed = escrowInterface.parseLog(log)
    if (parsed?.name !== 'OpenFailed') continue
    const selector = String(parsed.args.reason)
    failed.set(asHex(String(parsed.args.orderId)), escrowInterface.getError(selector)?.name ?? selector)
  }
  return failed
}
