import { type ReceiptBook, reclaimMany, requestClose, syncReceipts } from '@opg/payer'
import type { Hex } from '@opg/protocol'
import { reasonOf } from './errors.js'
import type { SpendingWallet } from './wallet.js'

const REQUEST_SECONDS = 300
const TIMEOUT_MS = 10_000

/** What became of an order that was to be closed or reclaimed. */
export interface Closing {
  readonly orderId: Hex
  /** `closing`: the seller was asked and will. `later`: the rest comes back at `claimBy`, by `reclaim`. */
  readonly status: 'closing' | 'reclaimed' | 'closed' | 'later'
  readonly detail: string
}

/** Asks a seller to close an order, and fetches the receipts of answers that never arrived. Never throws. */
export async function closeOrder(
  wallet: SpendingWallet,
  { host, book, fetch }: { readonly host: string; readonly book: ReceiptBook; readonly fetch: typeof globalThis.fetch },
): Promise<Closing> {
  const { orderId, terms, order } = book
  const http = { nodeUrl: host, fetch, attempts: 1, timeoutMs: TIMEOUT_MS }
  const { escrow } = wallet.market
  try {
    await syncReceipts(book, http).catch(() => undefined)
    const expiresAt = wallet.now() + REQUEST_SECONDS
    const asked = await requestClose(wallet.signer, { escrow, terms, order, expiresAt, ...http })
    return asked.status === 'closing'
      ? { orderId, status: 'closing', detail: 'the seller was asked' }
      : { orderId, status: 'later', detail: asked.detail }
  } catch (error) {
    return { orderId, status: 'later', detail: reasonOf(error) }
  }
}

/** Reclaims orders that have expired. @throws {ChainUnavailableError} */
export async function reclaimOrders(
  wallet: SpendingWallet,
  orders: Parameters<typeof reclaimMany>[1]['orders'],
): Promise<Closing[]> {
  const outcomes = await reclaimMany(wallet.signer, { escrow: wallet.market.escrow, orders })
  return outcomes.map(({ orderId, ...outcome }) => {
    if (outcome.status === 'reclaimed') return { orderId, status: 'reclaimed', detail: `by ${outcome.txHash}` }
    if (outcome.status === 'closed') return { orderId, status: 'closed', detail: 'nothing is left in it' }
    const detail = outcome.status === 'refused' ? outcome.detail : outcome.status
    return { orderId, status: 'later', detail }
  })
}
