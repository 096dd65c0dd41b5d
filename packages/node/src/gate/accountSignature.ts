import type { Clock } from '@opg/operator'
import { type Address, type Hex, recoverSigner } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'

/** For so long an account without code is taken to have none. */
const WITHOUT_CODE_FOR_MS = 30_000
const MAX_WITHOUT_CODE = 10_000

/** Whether an account signed a digest. @throws {ChainUnavailableError} */
export type AccountSignature = (
  account: Address,
  claim: { readonly digest: Hex; readonly signature: Hex },
) => Promise<boolean>

/** ECDSA, or ERC-1271 where the account has code. */
export function createAccountSignature({
  chain,
  clock,
}: {
  readonly chain: Pick<EscrowReader, 'codeHash' | 'isValidSignature'>
  readonly clock: Clock
}): AccountSignature {
  // Who sends bad signatures in a flood must not make the node flood its RPC.
  const withoutCode = new Map<Address, number>()

  async function isWallet(account: Address): Promise<boolean> {
    if (clock() - (withoutCode.get(account) ?? -Infinity) < WITHOUT_CODE_FOR_MS) return false
    const hasCode = (await chain.codeHash(account)) !== undefined
    if (withoutCode.size >= MAX_WITHOUT_CODE) withoutCode.clear()
    if (!hasCode) withoutCode.set(account, clock())
    return hasCode
  }

  return async (account, { digest, signature }) => {
    if (recoverSigner(digest, signature) === account) return true
    return (await isWallet(account)) && (await chain.isValidSignature(account, { digest, signature }))
  }
}
