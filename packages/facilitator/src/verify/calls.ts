import { InferenceEscrow__factory, type InferenceEscrow } from '@opg/bindings'
import { uptoFundingData, type Hex, type Order, type Settlement, type Terms } from '@opg/protocol'
import { Signature } from 'ethers'
import type { Opening } from '../engine/types.js'

/** The escrow's interface, for calls and for what they answer. */
export const escrowInterface: InferenceEscrow['interface'] = InferenceEscrow__factory.createInterface()

/** The call that opens one order, without its approval. */
export function openingCall({ terms, order, funding }: Opening): Hex {
  const data =
    funding.kind === 'upto'
      ? escrowInterface.encodeFunctionData('openVia', [funding.adapter, terms, { order, data: uptoFundingData(funding) }])
      : escrowInterface.encodeFunctionData('open', [
          terms,
          { order, deadline: funding.deadline, signature: funding.signature },
        ])
  return data as Hex
}

/** The call that gives a first approval, which never reverts. Undefined where its signature is none. */
export function approvalCall({ order, approval }: Opening): Hex | undefined {
  if (approval === undefined) return undefined
  try {
    const { v, r, s } = Signature.from(approval.signature)
    const data = escrowInterface.encodeFunctionData('tryPermit', [
      order.payer,
      approval.value,
      approval.deadline,
      v,
      r,
      s,
    ])
    return data as Hex
  } catch {
    return undefined // no point of the curve: the order opens without it, or not at all
  }
}

/** The call that settles one order alone. */
export function settlementCall(input: {
  readonly terms: Terms
  readonly order: Order
  readonly settlement: Settlement
  readonly evidence: Hex
}): Hex {
  const { terms, order, settlement, evidence } = input
  const { cumulativeFee, receiptsRoot, receiptCount, close } = settlement
  const row = { order, cumulativeFee, receiptsRoot, receiptCount, close }
  return escrowInterface.encodeFunctionData('settle', [terms, [row], evidence]) as Hex
}
