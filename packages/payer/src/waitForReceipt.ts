import { type TransactionReceipt, type TransactionResponse, isError } from 'ethers'
import { ChainUnavailableError } from './errors.js'

const DEFAULT_TIMEOUT_MS = 300_000
const LOOK_MS = 4_000

/**
 * Waits for a transaction's receipt with one confirmation. `wait` of ethers alone looks again when a block comes after the
 * first that it heard of, so on a chain that stands still after the transaction it may wait for ever: here it begins anew
 * every few seconds.
 *
 * @param options `timeoutMs`: how long at most, five minutes where left out
 * @throws {ChainUnavailableError} once that time is over. What `wait` throws of a transaction that reverted, or whose nonce
 *   another one took, comes through
 */
export async function waitForReceipt(
  sent: Pick<TransactionResponse, 'hash' | 'wait'>,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<TransactionReceipt> {
  for (let leftMs = timeoutMs; leftMs > 0; leftMs -= LOOK_MS) {
    const receipt = await lookFor(sent, Math.min(leftMs, LOOK_MS))
    if (receipt !== null) return receipt
  }
  const cause = `it was sent, and has no receipt after ${String(timeoutMs / 1000)} s`
  throw new ChainUnavailableError({ action: `mine the transaction ${sent.hash}`, cause })
}

async function lookFor(sent: Pick<TransactionResponse, 'wait'>, ms: number): Promise<TransactionReceipt | null> {
  try {
    return await sent.wait(1, ms)
  } catch (error) {
    if (isError(error, 'TIMEOUT')) return null
    throw error
  }
}
