import { refusalAnswer } from '../http/errors.js'
import type { Refusal } from '../service/types.js'
import type { PaymentRefusal } from './types.js'

/** Seconds after which a lock that is on its way may be there. */
const RETRY_SECONDS = 5

export function refusePayment(
  code: string,
  message: string,
  more: Partial<Pick<PaymentRefusal, 'httpStatus' | 'reason' | 'retryAfter'>> = {},
): PaymentRefusal {
  return { status: 'refused', code, message, httpStatus: 402, ...more }
}

/** A payment that is none of what is asked for, in x402's own words too. */
export function mismatch(message: string, reason: string): PaymentRefusal {
  return refusePayment('PAYMENT_MISMATCH', `${message} Sign again what PAYMENT-REQUIRED says now.`, { reason })
}

/** The money may be locked, or may be yet: nothing is computed, and nothing lost. */
export function lockPending(why: string): PaymentRefusal {
  const message = `Whether the money is locked is not known yet: ${why}. Nothing was computed. Send the same header and body again; if nobody does, what was locked is given back.`
  return refusePayment('LOCK_PENDING', message, { httpStatus: 503, retryAfter: RETRY_SECONDS })
}

/**
 * A refusal of the payment core, of a payment: with 402 another payment may do better, with 409 and 503 this one may,
 * later.
 */
export function refusalOfCore(refusal: Refusal): PaymentRefusal {
  const { status, body, retryAfter } = refusalAnswer(refusal)
  const { code, message } = body.error
  return refusePayment(code, message, { httpStatus: status === 409 || status === 503 ? status : 402, retryAfter })
}
