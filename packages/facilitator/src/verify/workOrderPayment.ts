import { hashStruct, orderId, parseWorkOrderPayment, workOrderPermitDigest } from '@opg/protocol'
import type { Candidate, CheckContext } from './candidate.js'
import { refusalByClaimBy } from './claimBy.js'
import type { Deployed } from './deployed.js'
import type { ReadOffer } from './offers.js'
import { invalid, type Invalid } from './reasons.js'

type WorkOrderOffer = Extract<ReadOffer, { readonly scheme: 'work-order' }>

/** The opening of a session: the order of a `work-order` payment and its permit. Its request is the seller's to judge. */
export function readSessionPayment(payload: unknown, offer: WorkOrderOffer, deployed: Deployed): Candidate | Invalid {
  const { terms, order, permit, request } = parseWorkOrderPayment(payload, 'paymentPayload.payload')
  const { payer } = order
  if (hashStruct('Terms', terms) !== offer.termsHash) {
    return invalid('offer_mismatch', 'The terms of the order must be those of extra.terms.', payer)
  }
  const id = orderId({ seed: deployed.seed, terms: offer.termsHash, order })
  if (request.orderId !== id) {
    return invalid('offer_mismatch', `The request is signed for order ${request.orderId}, and this is ${id}.`, payer)
  }
  const least = atLeast(offer)
  if (order.amount < least) {
    return invalid(
      'permit2_amount_mismatch',
      `The order must hold at least ${least.toString()} base units, and holds ${order.amount.toString()}.`,
      payer,
    )
  }
  if (permit === undefined) {
    return invalid('invalid_payload', 'paymentPayload.payload.permit must be there until the order is open.', payer)
  }
  const { deadline, signature } = permit
  const { chainId, escrow, token } = deployed
  return {
    status: 'candidate',
    digest: workOrderPermitDigest({ chainId, escrow, token, terms: offer.termsHash, order, deadline }),
    opening: { orderId: id, terms: offer.terms, order, funding: { kind: 'permit2', deadline, signature } },
  }
}

/** Whether the time is right to open it. */
export function refusalBySessionTime(
  { order, funding }: Candidate['opening'],
  { offer, nowSeconds, marginSeconds }: CheckContext & { readonly offer: WorkOrderOffer },
): Invalid | undefined {
  if (funding.deadline < BigInt(nowSeconds + marginSeconds)) {
    return invalid(
      'permit2_deadline_expired',
      `The permit ends at ${funding.deadline.toString()}, and it must be good for ${String(marginSeconds)} seconds more. Sign a new one.`,
      order.payer,
    )
  }
  const least = Math.max(marginSeconds, offer.extra.minSecondsToClaimBy)
  return refusalByClaimBy(order, { nowSeconds, marginSeconds: least })
}

function atLeast({ extra, requirements }: WorkOrderOffer): bigint {
  return extra.minAmount > requirements.amount ? extra.minAmount : requirements.amount
}
