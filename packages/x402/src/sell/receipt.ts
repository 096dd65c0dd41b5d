import {
  EMPTY_ROOT,
  receiptLeaf,
  requestId,
  responseHash,
  rootOfLeaves,
  type CaptureStep,
  type Hex,
  type InferenceReceipt,
  type SignedReceipt,
} from '@opg/protocol'
import type { EvidenceMaker } from './evidence.js'
import type { Offered } from './offered.js'
import type { Bid } from './sale.js'

/** What was answered, and for how much. */
export interface Delivery {
  /** bytes32, see `requestHash`; zero where the request's bytes are not known. */
  readonly requestHash: Hex
  readonly responseBody: Uint8Array
  /** Base units. */
  readonly fee: bigint
  /** Unix seconds. */
  readonly timestamp: number
}

/** The only receipt of a stock payment's order, and what takes its fee. */
export interface Conclusion {
  readonly receipt: SignedReceipt
  readonly step: CaptureStep
}

/**
 * Makes the receipt and the evidence of a sale. Its request is one that nobody signed: number 0 of the order, worth at
 * most what the payer signed, and valid as long as that.
 *
 * @throws {SaleRefusedError} if others who must sign do not
 */
export async function conclude(
  bid: Bid,
  delivery: Delivery,
  { offered, evidence }: { readonly offered: Offered; readonly evidence: EvidenceMaker },
): Promise<Conclusion> {
  const { orderId, order } = bid
  const { terms, claimWindow } = offered.offer
  const { node } = terms
  const { fee, timestamp } = delivery
  const receipt: InferenceReceipt = {
    orderId,
    node,
    seq: 0n,
    requestId: requestId({
      orderId,
      node,
      index: 0n,
      requestHash: delivery.requestHash,
      maxFee: order.amount,
      expiresAt: order.claimBy - claimWindow,
    }),
    responseHash: responseHash(delivery.responseBody),
    fee,
    cumulativeFee: fee,
    timestamp,
  }
  const settlement = {
    orderId,
    cumulativeFee: fee,
    receiptsRoot: rootOfLeaves([receiptLeaf(receipt)]),
    receiptCount: 1n,
    close: true,
  }
  const signed = await evidence.signReceipt(receipt)
  return { receipt: signed, step: await evidence.capture(settlement, signed) }
}

/** Gives an order back whole: nothing was answered. @throws {SaleRefusedError} if others who must sign do not */
export async function release(orderId: Hex, evidence: EvidenceMaker): Promise<CaptureStep> {
  const settlement = { orderId, cumulativeFee: 0n, receiptsRoot: EMPTY_ROOT, receiptCount: 0n, close: true }
  return await evidence.capture(settlement, undefined)
}
