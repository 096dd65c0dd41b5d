import { ChainUnavailableError, type Clock, type EscrowReader, type Sleep } from '@opg/node'
import type { Bid } from './sale.js'

export type Confirmed =
  | { readonly status: 'open' }
  | { readonly status: 'refused'; readonly reason: 'lock_unconfirmed' | 'unavailable'; readonly message: string }

const PAUSE_MS = 100

/**
 * Waits until the chain itself says that an order is open and whole (N1): a facilitator's word does not start compute.
 * For `timeoutMs` at most; a chain that does not answer is asked again (N6).
 */
export async function confirmOpen(
  reader: Pick<EscrowReader, 'snapshot'>,
  { orderId, order }: Pick<Bid, 'orderId' | 'order'>,
  { timeoutMs, now, sleep }: { readonly timeoutMs: number; readonly now: Clock; readonly sleep: Sleep },
): Promise<Confirmed> {
  const end = now() + timeoutMs
  for (;;) {
    const refusal = await ask(reader, { orderId, order })
    if (refusal === undefined) return { status: 'open' }
    if (now() >= end) return refusal
    await sleep(PAUSE_MS)
  }
}

async function ask(
  reader: Pick<EscrowReader, 'snapshot'>,
  { orderId, order }: Pick<Bid, 'orderId' | 'order'>,
): Promise<Extract<Confirmed, { readonly status: 'refused' }> | undefined> {
  try {
    const { state, amount, released } = await reader.snapshot({ orderId })
    if (state === 'open' && amount === order.amount && released === 0n) return undefined
    const message = `The chain does not have order ${orderId} as open and whole: it is ${state}. The attempt is given up.`
    return { status: 'refused', reason: 'lock_unconfirmed', message }
  } catch (error) {
    if (error instanceof ChainUnavailableError) {
      return { status: 'refused', reason: 'unavailable', message: error.message }
    }
    throw error
  }
}
