import { InferenceEscrow__factory } from '@opg/bindings'
import type { Signer } from 'ethers'
import type { SignedOrder, Terms } from '@opg/protocol'
import { orderIdOf } from './createWorkOrder.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkSignedOrder, checkTerms } from './input.js'
import { type Opening, sendOpening } from './sendOpening.js'

const escrowInterface = InferenceEscrow__factory.createInterface()

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
  return sendOpening(signer, {
    escrow,
    orderId: orderIdOf(escrow, { terms, order: signed.order }),
    data: escrowInterface.encodeFunctionData('open', [terms, signed]),
    wouldOpen: (returned) => Boolean(escrowInterface.decodeFunctionResult('open', returned)[0]),
  })
}
