import { setTimeout as sleep } from 'node:timers/promises'
import type { Provider } from 'ethers'
import { ChainUnavailableError } from './errors.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkCount } from './input.js'
import { type OrderStatus, orderStatus } from './orderStatus.js'
import type { OrderWithTerms } from './reclaim.js'

const MAX_POLL_MS = 3_600_000

/**
 * Follows an order: its state now, and again whenever it changes, until it is closed or `signal` aborts. A chain that
 * does not answer is asked again, so a silent stretch means that nothing is known, not that nothing happened.
 *
 * @throws {InvalidInputError}
 */
export async function* watchOrder(
  provider: Provider,
  options: OrderWithTerms & { readonly escrow: EscrowInfo; readonly pollMs: number; readonly signal?: AbortSignal },
): AsyncGenerator<OrderStatus, void> {
  const pollMs = checkCount(options.pollMs, { field: 'pollMs', min: 1, max: MAX_POLL_MS })
  let last: string | undefined
  while (options.signal?.aborted !== true) {
    const now = await statusOrNothing(provider, options)
    if (now !== undefined) {
      const seen = 'held' in now ? `${now.status} ${now.held.toString()} ${now.reserved.toString()}` : now.status
      if (seen !== last) yield now
      if (now.status === 'closed') return
      last = seen
    }
    await sleep(pollMs, undefined, options.signal === undefined ? {} : { signal: options.signal }).catch(
      () => undefined,
    )
  }
}

async function statusOrNothing(
  provider: Provider,
  options: OrderWithTerms & { readonly escrow: EscrowInfo },
): Promise<OrderStatus | undefined> {
  try {
    return await orderStatus(provider, options)
  } catch (error) {
    if (error instanceof ChainUnavailableError) return undefined
    throw error
  }
}
