import type { PaymentPayload } from '@x402/core/types'
import type { RequestBytes } from './sessionDesk.js'

/** x402 hands a facilitator the payment alone, so the request that it came with is kept beside the same object. */
const known = new WeakMap<object, RequestBytes>()

export function rememberRequest(payload: object, request: RequestBytes): void {
  known.set(payload, request)
}

export function requestBytesOf(payload: PaymentPayload): RequestBytes | undefined {
  return known.get(payload)
}
