import type { SchemeNetworkClient } from '@x402/core/types'
import type { Signer } from 'ethers'
import { type AccountOptions, openAccount } from './account.js'
import type { Closing } from './closing.js'
import { workOrderScheme } from './schemes.js'

/** The scheme `work-order` for a stock x402Client, with what it pays from. */
export interface WorkOrderClient extends SchemeNetworkClient {
  /** As of {@link PayingFetch}. */
  spentToday(): Promise<bigint>
  reclaim(): Promise<Closing[]>
  close(): Promise<Closing[]>
}

/**
 * Registers with a stock client: `new x402Client().register('eip155:*', workOrderClient(wallet, options))`. Wrap the
 * paying fetch by `withRequest`, or the scheme refuses: x402 does not tell schemes what is paid for. The client's own
 * spend controls must allow OPG.
 *
 * @throws {InvalidInputError} if an option is not what it must be
 */
export function workOrderClient(signer: Signer, options: AccountOptions): WorkOrderClient {
  const account = openAccount(signer, options)
  return {
    ...workOrderScheme(account.purse),
    spentToday: () => account.spentToday(),
    reclaim: () => account.reclaim(),
    close: () => account.close(globalThis.fetch),
  }
}
