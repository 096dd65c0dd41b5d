import { InferenceEscrow__factory } from '@opg/bindings'
import type { Signer } from 'ethers'
import { type Hex, parseAddress } from '@opg/protocol'
import { askChain, hashOf, transact } from './chain.js'
import { orderIdOf } from './createWorkOrder.js'
import { SignerMismatchError } from './errors.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkRouted } from './prepareAllocation.js'
import type { OrderWithTerms } from './reclaim.js'

const escrowInterface = InferenceEscrow__factory.createInterface()

export type RoutedRelease =
  | { readonly status: 'released'; readonly orderId: Hex; readonly refund: bigint; readonly txHash: Hex }
  /** Slices that are not settled hold money of it. */
  | { readonly status: 'reserved'; readonly orderId: Hex; readonly detail: string }
  | { readonly status: 'closed' | 'unknown'; readonly orderId: Hex }
  | { readonly status: 'refused'; readonly orderId: Hex; readonly reason: string; readonly detail: string }

/**
 * Closes a routed order before its `claimBy`, and returns the rest to the payer: by its facilitator, and only when no
 * slice is reserved. From `claimBy` on anybody may, by `reclaim`.
 *
 * @throws {InvalidInputError} {@link SignerMismatchError} {@link ChainUnavailableError}
 */
export async function releaseRouted(
  signer: Signer,
  options: OrderWithTerms & { readonly escrow: EscrowInfo },
): Promise<RoutedRelease> {
  const { escrow } = options
  const { terms, order } = checkRouted(options)
  const orderId = orderIdOf(escrow, { terms, order })
  const found = parseAddress(await askChain('name the signer', () => signer.getAddress()), 'signer')
  const expected = terms.facilitator
  if (found !== expected) throw new SignerMismatchError({ field: 'terms.facilitator', expected, found })
  const result = await transact(signer, {
    call: { to: escrow.escrow, data: escrowInterface.encodeFunctionData('release', [terms, order]) },
    interfaces: [escrowInterface],
    action: 'release an order',
  })
  if (result.status === 'mined') {
    const refund = BigInt(String(escrowInterface.decodeFunctionResult('release', result.returned)[0]))
    return { status: 'released', orderId, refund, txHash: hashOf(result.receipt) }
  }
  const { reason, detail } =
    result.status === 'reverted' ? result.revert : { reason: 'NotSent', detail: 'nothing was sent' }
  if (reason === 'SlicesReserved') return { status: 'reserved', orderId, detail }
  if (reason === 'OrderClosed') return { status: 'closed', orderId }
  if (reason === 'OrderUnknown') return { status: 'unknown', orderId }
  return { status: 'refused', orderId, reason, detail }
}
