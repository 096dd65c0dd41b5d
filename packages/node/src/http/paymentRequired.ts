import type { PaymentRequired, PaymentRequirements } from '@x402/core/types'
import { encodePaymentRequiredHeader, encodePaymentResponseHeader } from '@x402/core/http'
import type { SettleResponse } from '@x402/core/types'
import type { ErrorAnswer } from './errors.js'

/** The x402 v2 headers of answers, in lower case as Node has them. */
export const PAYMENT_REQUIRED_HEADER = 'payment-required'
export const PAYMENT_RESPONSE_HEADER = 'payment-response'

/** What a 402 says to x402 clients. */
export interface Demand {
  /** URL of what is sold. */
  readonly url: string
  readonly accepts: readonly PaymentRequirements[]
  readonly extensions?: Readonly<Record<string, unknown>> | undefined
  /** Why an earlier payment did not do, in x402's words; absent where none came. */
  readonly error?: string | undefined
}

/** Adds x402's demand to an answer of status 402, in the header and in the body. */
export function demanding(answer: ErrorAnswer, { url, accepts, extensions, error }: Demand): ErrorAnswer {
  const required: PaymentRequired = {
    x402Version: 2,
    error: error ?? 'Payment required',
    resource: { url, mimeType: 'application/json' },
    accepts: [...accepts],
    ...(extensions === undefined ? {} : { extensions }),
  }
  const { x402Version, resource } = required
  return {
    ...answer,
    headers: { ...answer.headers, [PAYMENT_REQUIRED_HEADER]: encodePaymentRequiredHeader(required) },
    body: { ...answer.body, x402Version, resource, accepts, ...(extensions === undefined ? {} : { extensions }) },
  }
}

/** PAYMENT-RESPONSE of an answer. */
export function responseHeaders(settled: SettleResponse): Readonly<Record<string, string>> {
  return { [PAYMENT_RESPONSE_HEADER]: encodePaymentResponseHeader(settled) }
}
