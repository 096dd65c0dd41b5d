import { errorFields, type Logger } from '@opg/operator'
import { REQUEST_HEADER } from '@opg/protocol'
import type { PaidAnswer, Refusal } from '../service/types.js'
import type { AcceptedPayment, PaymentRefusal } from '../x402/types.js'
import { refusalOfCore } from '../x402/refusal.js'
import { errorAnswer, isInternal, refusalAnswer, type ErrorAnswer } from './errors.js'
import { paymentBody } from './info.js'
import { demanding, responseHeaders } from './paymentRequired.js'
import type { ComputeRouteOptions, Work } from './readWork.js'

/** A request that somebody wants to buy. */
export interface Buying {
  readonly work: Work
  readonly options: ComputeRouteOptions
  /** Of what is bought. */
  readonly url: string
}

type Served = Extract<PaidAnswer, { readonly status: 'served' | 'replayed' }>

export function isAnswer(answer: PaidAnswer): answer is Served {
  return answer.status === 'served' || answer.status === 'replayed'
}

/** The answer to a request that brings nothing to pay with. */
export function paymentRequired(buying: Buying): ErrorAnswer {
  const error = {
    code: 'PAYMENT_REQUIRED',
    message: `Send a signed request in the header ${REQUEST_HEADER}, under an order that this node has admitted (POST /v1/orders).`,
    field: REQUEST_HEADER,
  }
  return withOffer({ status: 402, body: { error } }, buying)
}

/** The answer to a payment that does not do. */
export function paymentRefused(refusal: PaymentRefusal, buying: Buying): ErrorAnswer {
  const { httpStatus: status, code, message, reason, retryAfter } = refusal
  const answer = { status, body: { error: { code, message } }, ...(retryAfter === undefined ? {} : { retryAfter }) }
  return withOffer(answer, buying, reason ?? code.toLowerCase())
}

/** The answer where the work failed, or the core refused to do it. */
export function problemAnswer(
  answer: Exclude<PaidAnswer, Served>,
  buying: Buying & { readonly payment: AcceptedPayment | undefined },
): ErrorAnswer {
  const { payment, options } = buying
  if (answer.status === 'failed') {
    reportInternal(answer.cause, options.logger)
    const failed = errorAnswer(answer.cause)
    return payment === undefined ? failed : { ...failed, headers: responseHeaders(payment.response(answer)) }
  }
  if (payment !== undefined) return paymentRefused(refusalOfCore(answer), buying)
  return withOffer(refusalAnswer(answer), buying, refusalCode(answer))
}

function refusalCode({ reason }: Refusal): string {
  return reason.replaceAll('-', '_')
}

/** With 402 goes what to pay: in the words of this node, and in those of x402. */
function withOffer(answer: ErrorAnswer, { work, options, url }: Buying, error?: string): ErrorAnswer {
  if (answer.status !== 402) return answer
  const { model } = work.backend
  const quote = { modelId: model.modelId, maxFee: work.call.maxFee }
  const payment = paymentBody(options.info, { ...quote, prices: model.prices })
  const offered = { ...answer, body: { ...answer.body, payment } }
  const { cashier } = options
  if (cashier === undefined) return offered
  return demanding(offered, { url, accepts: cashier.requirements(quote), extensions: cashier.extensions, error })
}

function reportInternal(error: unknown, logger: Logger): void {
  if (isInternal(error)) logger.error(errorFields(error), 'a request failed inside the node')
}
