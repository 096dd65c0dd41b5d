import { InferenceEscrow__factory } from '@opg/bindings'
import type { Signer } from 'ethers'
import { type Address, type Hex, parseAddress, parseBytes } from '@opg/protocol'
import { orderIdOf } from './createWorkOrder.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkOrder, checkTerms } from './input.js'
import type { OrderWithTerms } from './reclaim.js'
import { type Opening, sendOpening } from './sendOpening.js'

const escrowInterface = InferenceEscrow__factory.createInterface()
const readData = parseBytes({ min: 0, max: 65_536 })

/**
 * Opens an order with what a funder contract (`IOrderFunder`) delivers. Anyone may; the signer pays the gas. The escrow
 * trusts only the tokens that arrive, so a funder can keep an order from opening, and do no more.
 *
 * @param funder the contract
 * @param options `data`: whatever the funder takes
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function openVia(
  signer: Signer,
  options: OrderWithTerms & { readonly escrow: EscrowInfo; readonly funder: Address; readonly data: Hex },
): Promise<Opening> {
  const { escrow } = options
  const funder = parseAddress(options.funder, 'funder')
  const terms = checkTerms(options.terms)
  const order = checkOrder(options.order)
  const data = readData(options.data, 'data')
  return sendOpening(signer, {
    escrow,
    orderId: orderIdOf(escrow, { terms, order }),
    data: escrowInterface.encodeFunctionData('openVia', [funder, terms, { order, data }]),
    wouldOpen: (returned) => Boolean(escrowInterface.decodeFunctionResult('openVia', returned)[0]),
  })
}
