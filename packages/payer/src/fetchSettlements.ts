import { InferenceEscrow__factory } from '@opg/bindings'
import type { Provider } from 'ethers'
import { type Hex, parseBytes32 } from '@opg/protocol'
import { asHex, askChain } from './chain.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkCount } from './input.js'

/** A settlement as the chain recorded it (`OrderSettled`). */
export interface SettledEvent {
  readonly orderId: Hex
  /** Base units. */
  readonly cumulativeFee: bigint
  readonly receiptsRoot: Hex
  readonly receiptCount: bigint
  /** Base units that went back to the payer, where the order closed. */
  readonly refund: bigint
  readonly transactionHash: Hex
}

/**
 * Settlements of an order, oldest first.
 *
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function fetchSettlements(
  provider: Provider,
  options: { readonly escrow: EscrowInfo; readonly orderId: Hex; readonly fromBlock: number },
): Promise<readonly SettledEvent[]> {
  const orderId = parseBytes32(options.orderId, 'orderId')
  const fromBlock = checkCount(options.fromBlock, { field: 'fromBlock', min: 0, max: Number.MAX_SAFE_INTEGER })
  const contract = InferenceEscrow__factory.connect(options.escrow.escrow, provider)
  const events = await askChain('list settlements', () =>
    contract.queryFilter(contract.filters.OrderSettled(orderId), fromBlock),
  )
  return events.map(({ args, transactionHash }) => ({
    orderId,
    cumulativeFee: args.cumulativeFee,
    receiptsRoot: asHex(args.receiptsRoot),
    receiptCount: args.receiptCount,
    refund: args.refund,
    transactionHash: asHex(transactionHash),
  }))
}
