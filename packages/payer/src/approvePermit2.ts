import { MaxUint256, type Signer } from 'ethers'
import { type Address, MAX_UINT96, PERMIT2 } from '@opg/protocol'
import { type Approval, approveSpender } from './approveSpender.js'
import { checkUint } from './input.js'

/**
 * Lets Permit2 take OPG from the signer's account, where its signatures say so. Once for an account and a token.
 *
 * Without `amount` the approval is without a limit, and one that covers the largest order counts as given. With it the
 * approval is of exactly that many base units, unless as many are approved already.
 *
 * @throws {InvalidInputError} {@link ContractNotFoundError} {@link ApprovalFailedError} {@link ChainUnavailableError}
 */
export async function approvePermit2(
  signer: Signer,
  options: { readonly token: Address; readonly amount?: bigint },
): Promise<Approval> {
  const spender = { address: PERMIT2, name: 'Permit2' }
  if (options.amount === undefined) {
    return approveSpender(signer, { token: options.token, spender, needed: MAX_UINT96, amount: MaxUint256 })
  }
  const amount = checkUint(options.amount, { field: 'amount', bits: 256, min: 1n })
  return approveSpender(signer, { token: options.token, spender, needed: amount, amount })
}
