import type { Signer } from 'ethers'
import { type Approval, approveSpender } from './approveSpender.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkUint } from './input.js'

/**
 * Lets the escrow take exactly `amount` base units from the signer's account, where the signer itself calls
 * (`openFunded`): the escrow takes nothing from anybody else. Not needed for `openOrder`.
 *
 * @throws {InvalidInputError} {@link ContractNotFoundError} {@link ApprovalFailedError} {@link ChainUnavailableError}
 */
export async function approveEscrow(
  signer: Signer,
  options: { readonly escrow: EscrowInfo; readonly amount: bigint },
): Promise<Approval> {
  const { escrow } = options
  const amount = checkUint(options.amount, { field: 'amount', bits: 256, min: 1n })
  const spender = { address: escrow.escrow, name: 'the escrow' }
  return approveSpender(signer, { token: escrow.token, spender, needed: amount, amount })
}
