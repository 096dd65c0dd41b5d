import { IERC20Metadata__factory } from '@opg/bindings'
import type { Signer } from 'ethers'
import { type Address, type Hex, parseAddress } from '@opg/protocol'
import { askChain, askContract, hashOf, providerOf, transact } from './chain.js'
import { ApprovalFailedError } from './errors.js'

export type Approval =
  { readonly status: 'already'; readonly txHash: null } | { readonly status: 'approved'; readonly txHash: Hex }

/**
 * Lets `spender` take OPG from the signer's account, unless it may take `needed` base units already.
 *
 * @throws {InvalidInputError} {@link ContractNotFoundError} {@link ApprovalFailedError} {@link ChainUnavailableError}
 */
export async function approveSpender(
  signer: Signer,
  options: {
    readonly token: Address
    readonly spender: { readonly address: Address; readonly name: string }
    readonly needed: bigint
    readonly amount: bigint
  },
): Promise<Approval> {
  const { spender, needed, amount } = options
  const token = parseAddress(options.token, 'token')
  const provider = providerOf(signer)
  const erc20 = IERC20Metadata__factory.connect(token, signer)
  const owner = await askChain('name the signer', () => signer.getAddress())
  const allowance = await askContract(provider, { field: 'token', address: token, action: 'read the allowance' }, () =>
    erc20.allowance(owner, spender.address),
  )
  if (allowance >= needed) return { status: 'already', txHash: null }

  const data = erc20.interface.encodeFunctionData('approve', [spender.address, amount])
  const action = `approve ${spender.name}`
  const result = await transact(signer, { call: { to: token, data }, interfaces: [], action })
  if (result.status === 'mined') return { status: 'approved', txHash: hashOf(result.receipt) }
  const detail = result.status === 'reverted' ? result.revert.detail : 'not sent'
  throw new ApprovalFailedError({ token, spender: spender.name, detail })
}
