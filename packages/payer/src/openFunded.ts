import { InferenceEscrow__factory } from '@opg/bindings'
import type { Signer } from 'ethers'
import { orderIdOf } from './createWorkOrder.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkOrder, checkTerms } from './input.js'
import type { OrderWithTerms } from './reclaim.js'
import { type Opening, sendOpening } from './sendOpening.js'

const escrowInterface = InferenceEscrow__factory.createInterface()

/**
 * Opens an order for its payer with the signer's own OPG, which the escrow must be allowed to take (`approveEscrow`). No
 * signature of the payer is needed, and what is not spent goes to the payer, not to the signer. The order is one of
 * `createWorkOrder`.
 *
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function openFunded(
  signer: Signer,
  options: OrderWithTerms & { readonly escrow: EscrowInfo },
): Promise<Opening> {
  const { escrow } = options
  const terms = checkTerms(options.terms)
  const order = checkOrder(options.order)
  return sendOpening(signer, {
    escrow,
    orderId: orderIdOf(escrow, { terms, order }),
    data: escrowInterface.encodeFunctionData('openFunded', [terms, order]),
    wouldOpen: (returned) => Boolean(escrowInterface.decodeFunctionResult('openFunded', returned)[0]),
  })
}
