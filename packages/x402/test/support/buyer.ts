import type { Devnet } from '@opg/devnet'
import { approvePermit2 } from '@opg/payer'
import { formatOpg, parseOpg } from '@opg/protocol'
import type { Wallet } from 'ethers'
import type { PayFetchOptions } from '../../src/index.js'

/** Base units as options take them. */
export function units(amount: bigint): string {
  return formatOpg(amount)
}

/** A wallet with OPG that lets Permit2 take it. */
export async function fundedPayer(devnet: Devnet, wallet: Wallet = devnet.wallets[2]): Promise<Wallet> {
  await devnet.mint(wallet.address, parseOpg('1000'))
  await approvePermit2(wallet, { token: devnet.deployment.token })
  return wallet
}

/** Limits of 10,000 base units a day, and orders of 1,000. */
export function buyerOptions(devnet: Devnet, overrides: Partial<PayFetchOptions> = {}): PayFetchOptions {
  return {
    rpcUrl: devnet.rpcUrl,
    escrow: devnet.deployment.escrow,
    maxPerDay: units(10_000n),
    sessionAmount: units(1_000n),
    backoffMs: 10,
    ...overrides,
  }
}

/** What a promise is rejected with. */
export async function errorOf(work: Promise<unknown>): Promise<unknown> {
  try {
    await work
  } catch (error) {
    return error
  }
  throw new TypeError('nothing was thrown')
}
