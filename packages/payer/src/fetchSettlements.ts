import { InferenceEscrow__factory } from '@opg/bindings'
import type { Provider } from 'ethers'
import { type Address, type Hex, parseAddress, parseBytes32 } from '@opg/protocol'
import { asHex, askChain } from './chain.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkCount } from './input.js'

/** A settlement as the chain recorded it (`OrderSettled`, `SliceSettled`). */
export interface SettledEvent {
  /** Of a slice, the slice's id. */
  readonly orderId: Hex
  /** Base units. */
  readonly cumulativeFee: bigint
  readonly receiptsRoot: Hex
  readonly receiptCount: bigint
  /** Base units that went back to the payer, where the order closed; null of a slice, whose rest is free in its order. */
  readonly refund: bigint | null
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

/** The one settlement of a slice. */
export interface SliceSettledEvent extends SettledEvent {
  readonly node: Address
  /** Base units of the fee that the node was paid at once. */
  readonly nodeFee: bigint
}

/**
 * Settlements of a routed order's slices, oldest first.
 *
 * @param options `orderId` is the routed order's; with `sliceId`, only this slice's
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function fetchSliceSettlements(
  provider: Provider,
  options: {
    readonly escrow: EscrowInfo
    readonly orderId: Hex
    readonly sliceId?: Hex
    readonly fromBlock: number
  },
): Promise<readonly SliceSettledEvent[]> {
  const orderId = parseBytes32(options.orderId, 'orderId')
  const sliceId = options.sliceId === undefined ? undefined : parseBytes32(options.sliceId, 'sliceId')
  const fromBlock = checkCount(options.fromBlock, { field: 'fromBlock', min: 0, max: Number.MAX_SAFE_INTEGER })
  const contract = InferenceEscrow__factory.connect(options.escrow.escrow, provider)
  const events = await askChain('list settlements of slices', () =>
    contract.queryFilter(contract.filters.SliceSettled(orderId, sliceId), fromBlock),
  )
  return events.map(({ args, transactionHash }) => ({
    orderId: asHex(args.sliceId),
    node: parseAddress(args.node, 'node'),
    cumulativeFee: args.fee,
    nodeFee: args.nodeFee,
    receiptsRoot: asHex(args.receiptsRoot),
    receiptCount: args.receiptCount,
    refund: null,
    transactionHash: asHex(transactionHash),
  }))
}
