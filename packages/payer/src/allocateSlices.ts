import { InferenceEscrow__factory } from '@opg/bindings'
import type { Signer } from 'ethers'
import { type Hex, parseAddress } from '@opg/protocol'
import { askChain, hashOf, transact } from './chain.js'
import { SignerMismatchError } from './errors.js'
import type { EscrowInfo } from './escrowInfo.js'
import { type PreparedAllocation, type RoutedSlice, prepareAllocation } from './prepareAllocation.js'
import { readSignature } from './signAllocation.js'

const escrowInterface = InferenceEscrow__factory.createInterface()

export type SliceAllocation =
  | {
      readonly status: 'allocated'
      readonly allocationId: Hex
      readonly slices: readonly RoutedSlice[]
      readonly txHash: Hex
      readonly gasUsed: bigint
    }
  /** It was reserved before: nothing changed. */
  | { readonly status: 'already-allocated'; readonly allocationId: Hex; readonly slices: readonly RoutedSlice[] }
  | { readonly status: 'refused'; readonly allocationId: Hex; readonly reason: string; readonly detail: string }

/**
 * Reserves the slices of an allocation on chain: from then until `claimBy` each holds its cap for its node. The
 * facilitator sends it itself, or anybody with its signature. Simulated first: what cannot be reserved costs nothing.
 *
 * @param options `signature`: of `signAllocation`; needed where the signer is not the facilitator
 * @throws {InvalidInputError} {@link SignerMismatchError} {@link ChainUnavailableError}
 */
export async function allocateSlices(
  signer: Signer,
  options: { readonly escrow: EscrowInfo; readonly prepared: PreparedAllocation; readonly signature?: Hex },
): Promise<SliceAllocation> {
  const { escrow } = options
  // Prepared anew: what a caller hands over may have been changed since.
  const { terms, order, allocation, allocationId, slices } = prepareAllocation({
    ...options.prepared,
    ...options.prepared.allocation,
    escrow,
  })
  const signature = options.signature === undefined ? '0x' : readSignature(options.signature, 'signature')
  if (options.signature === undefined) {
    const found = parseAddress(await askChain('name the signer', () => signer.getAddress()), 'signer')
    const expected = terms.facilitator
    if (found !== expected) throw new SignerMismatchError({ field: 'terms.facilitator', expected, found })
  }
  const result = await transact(signer, {
    call: {
      to: escrow.escrow,
      data: escrowInterface.encodeFunctionData('allocate', [terms, order, allocation, signature]),
    },
    interfaces: [escrowInterface],
    action: 'reserve slices',
    isWorthwhile: (returned) => Boolean(escrowInterface.decodeFunctionResult('allocate', returned)[0]),
  })
  if (result.status === 'reverted') return { status: 'refused', allocationId, ...result.revert }
  if (result.status === 'not-sent' || !hasAllocated(result.receipt.logs, { escrow, allocationId })) {
    return { status: 'already-allocated', allocationId, slices }
  }
  const { receipt } = result
  return { status: 'allocated', allocationId, slices, txHash: hashOf(receipt), gasUsed: receipt.gasUsed }
}

function hasAllocated(
  logs: readonly { readonly address: string; readonly topics: readonly string[]; readonly data: string }[],
  { escrow, allocationId }: { readonly escrow: EscrowInfo; readonly allocationId: Hex },
): boolean {
  return logs.some((log) => {
    if (log.address.toLowerCase() !== escrow.escrow.toLowerCase()) return false
    const parsed = escrowInterface.parseLog(log)
    return parsed?.name === 'SlicesAllocated' && parsed.args.allocationId === allocationId
  })
}
