import {
  InvalidInputError,
  UPTO_PROXY,
  orderId,
  parseUptoPayment,
  uptoDigest,
  uptoOrder,
  type Order,
  type UptoAuthorization,
} from '@opg/protocol'
import type { Candidate, CheckContext } from './candidate.js'
import { refusalByClaimBy } from './claimBy.js'
import type { Deployed } from './deployed.js'
import type { ReadOffer } from './offers.js'
import { invalid, type Invalid } from './reasons.js'

type UptoOffer = Extract<ReadOffer, { readonly scheme: 'upto' }>

/** A stock `upto` payment under an offer. The order of the checks is that of the stock facilitator. */
export function readUptoPayment(payload: unknown, offer: UptoOffer, deployed: Deployed): Candidate | Invalid {
  const { authorization, signature } = parseUptoPayment(payload, 'paymentPayload.payload')
  const mismatch = refusalByOffer(authorization, offer)
  if (mismatch !== undefined) return mismatch
  const { claimWindow } = offer.extra.offer
  const order = orderOf(offer, authorization)
  if ('status' in order) return order
  return {
    status: 'candidate',
    digest: uptoDigest(deployed.chainId, authorization),
    opening: {
      orderId: orderId({ seed: deployed.seed, terms: offer.termsHash, order }),
      terms: offer.terms,
      order,
      funding: {
        kind: 'upto',
        adapter: offer.extra.adapter,
        deadline: authorization.deadline,
        claimWindow,
        validAfter: authorization.validAfter,
        signature,
      },
    },
  }
}

/** Whether the time is right to open it. */
export function refusalByUptoTime(
  { order, funding }: Candidate['opening'],
  { nowSeconds, marginSeconds }: CheckContext,
): Invalid | undefined {
  if (funding.kind !== 'upto') return undefined
  const { deadline, validAfter } = funding
  if (deadline < BigInt(nowSeconds + marginSeconds)) {
    return invalid(
      'permit2_deadline_expired',
      `The authorization ends at ${deadline.toString()}, and it must be good for ${String(marginSeconds)} seconds more. Sign a new one.`,
      order.payer,
    )
  }
  if (validAfter > BigInt(nowSeconds)) {
    return invalid(
      'permit2_not_yet_valid',
      `The authorization is good after ${validAfter.toString()}, and it is ${String(nowSeconds)}.`,
      order.payer,
    )
  }
  return refusalByClaimBy(order, { nowSeconds, marginSeconds })
}

function refusalByOffer(
  { from, spender, to, facilitator, amount, token }: UptoAuthorization,
  { requirements, desk }: UptoOffer,
): Invalid | undefined {
  if (spender !== UPTO_PROXY) {
    return invalid('invalid_permit2_spender', `The spender must be the upto proxy, ${UPTO_PROXY}.`, from)
  }
  if (to !== requirements.payTo) {
    return invalid(
      'invalid_permit2_recipient_mismatch',
      `witness.to must be ${requirements.payTo}, and it is ${to}.`,
      from,
    )
  }
  if (desk !== undefined && facilitator !== desk) {
    return invalid(
      'upto_facilitator_mismatch',
      `witness.facilitator must be the offer's desk, ${desk}, and it is ${facilitator}.`,
      from,
    )
  }
  if (amount !== requirements.amount) {
    return invalid(
      'permit2_amount_mismatch',
      `The amount must be ${requirements.amount.toString()} base units, and it is ${amount.toString()}.`,
      from,
    )
  }
  if (token !== requirements.asset) {
    return invalid('permit2_token_mismatch', `The token must be ${requirements.asset}, and it is ${token}.`, from)
  }
  return undefined
}

function orderOf(offer: UptoOffer, authorization: UptoAuthorization): Order | Invalid {
  try {
    return uptoOrder(offer.extra.offer, authorization)
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return invalid('claim_by_out_of_range', error.message, authorization.from)
  }
}
