import { IERC20Metadata__factory } from '@opg/bindings'
import { MaxUint256, type Signer } from 'ethers'
import { type Address, type Hex, MAX_UINT96, PERMIT2, parseAddress } from '@opg/protocol'
import { askChain, askContract, hashOf, providerOf, transact } from './chain.js'
import { ApprovalFailedError } from './errors.js'
import { checkUint } from './input.js'

export type Approval =
  { readonly status: 'already'; readonly txHash: null } | { readonly status: 'approved'; readonly txHash: Hex }

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
  const token = parseAddress(options.token, 'token')
  const amount =
    options.amount === undefined ? MaxUint256 : checkUint(options.amount, { field: 'amount', bits: 256, min: 1n })
  const provider = providerOf(signer)
  const erc20 = IERC20Metadata__factory.connect(token, signer)
  const owner = await askChain('name the signer', () => signer.getAddress())
  const needed = options.amount === undefined ? MAX_UINT96 : amount
  const allowance = await askContract(provider, { field: 'token', address: token, action: 'read the allowance' }, () =>
    erc20.allowance(owner, PERMIT2),
  )
  if (allowance >= needed) return { status: 'already', txHash: null }

  const data = erc20.interface.encodeFunctionData('approve', [PERMIT2, amount])
  const result = await transact(signer, { call: { to: token, data }, interfaces: [], action: 'approve Permit2' })
  if (result.status !== 'mined') {
    throw new ApprovalFailedError({ token, detail: result.status === 'reverted' ? result.revert.detail : 'not sent' })
  }
  return { status: 'approved', txHash: hashOf(result.receipt) }
}
