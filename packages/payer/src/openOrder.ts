import { InferenceEscrow__factory, permit2Abi } from '@opg/bindings'
import { Interface, type Signer, type TransactionReceipt } from 'ethers'
import type { Hex, SignedOrder, Terms } from '@opg/protocol'
import { asHex, hashOf, transact } from './chain.js'
import { orderIdOf } from './createWorkOrder.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkSignedOrder, checkTerms } from './input.js'

const escrowInterface = InferenceEscrow__factory.createInterface()
const INTERFACES = [escrowInterface, new Interface(permit2Abi)]

export type Opening =
  | { readonly status: 'opened'; readonly orderId: Hex; readonly txHash: Hex; readonly gasUsed: bigint }
  /** It is open, or was: nothing moved. */
  | { readonly status: 'already-open'; readonly orderId: Hex }
  | { readonly status: 'refused'; readonly orderId: Hex; readonly reason: string; readonly detail: string }

/**
 * Opens an order. Anyone may; the signer pays the gas. Simulated first, so an order that cannot open costs nothing.
 *
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function openOrder(
  signer: Signer,
  options: { readonly escrow: EscrowInfo; readonly terms: Terms; readonly signed: SignedOrder },
): Promise<Opening> {
  const { escrow } = options
  const terms = checkTerms(options.terms)
  const signed = checkSignedOrder(options.signed, 'signed')
  const orderId = orderIdOf(escrow, { terms, order: signed.order })
  const result = await transact(signer, {
    call: { to: escrow.escrow, data: escrowInterface.encodeFunctionData('open', [terms, signed]) },
    interfaces: INTERFACES,
    action: 'open an order',
    isWorthwhile: (returned) => Boolean(escrowInterface.decodeFunctionResult('open', returned)[0]),
  })
  if (result.status === 'reverted') return { status: 'refused', orderId, ...result.revert }
  if (result.status === 'not-sent' || !openedIds(result.receipt, escrow).has(orderId)) {
    return { status: 'already-open', orderId }
  }
  return { status: 'opened', orderId, txHash: hashOf(result.receipt), gasUsed: result.receipt.gasUsed }
}

/** Ids of the orders that a transaction opened. */
export function openedIds(receipt: TransactionReceipt, escrow: EscrowInfo): ReadonlySet<Hex> {
  return new Set(
    receipt.logs
      .filter((log) => log.address.toLowerCase() === escrow.escrow.toLowerCase())
      .flatMap((log) => {
        const parsed = escrowInterface.parseLog(log)
        return parsed?.name === 'OrderOpened' ? [asHex(String(parsed.args.orderId))] : []
      }),
  )
}
