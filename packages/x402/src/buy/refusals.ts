import { decodePaymentRequiredHeader, decodePaymentResponseHeader } from '@x402/core/http'

/** No more requests are taken under the order, so that a new one may help. */
const ENDS_OF_ORDER = [
  'order_exhausted',
  'order_closed',
  'order_closing',
  'order_expires_too_soon',
  'books_behind',
  'order_unknown',
]
/** The same payment may be taken later. */
const PASSING = ['in_progress', 'lock_pending', 'unavailable', 'order_not_open']

/** The payment will never be taken, whatever status says so. */
export function isFinal(reason: string): boolean {
  return normal(reason) === 'payment_already_used'
}

export function isEndOfOrder(reason: string): boolean {
  return ENDS_OF_ORDER.includes(normal(reason))
}

export function isPassing(reason: string): boolean {
  return PASSING.includes(normal(reason))
}

/** Why a payment was refused, by the seller's body, which may tell more, or its headers. Uses the body up. */
export async function reasonIn(response: Response): Promise<string> {
  const text = await response.text().catch(() => '')
  return bodyReason(text) ?? headerReason(response.headers) ?? `status ${String(response.status)}`
}

function headerReason(headers: Headers): string | undefined {
  try {
    const settled = headers.get('payment-response')
    if (settled !== null) return decodePaymentResponseHeader(settled).errorReason
    const required = headers.get('payment-required')
    return required === null ? undefined : decodePaymentRequiredHeader(required).error
  } catch {
    return undefined
  }
}

function bodyReason(text: string): string | undefined {
  try {
    const body = JSON.parse(text) as unknown
    const error: unknown = typeof body === 'object' && body !== null && 'error' in body ? body.error : undefined
    if (typeof error === 'string') return error
    if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
    const { code } = error
    if (typeof code !== 'string') return undefined
    return 'message' in error && typeof error.message === 'string' ? `${code}: ${error.message}` : code
  } catch {
    return undefined
  }
}

/** Reasons come as words with hyphens, underscores or in capitals; a sentence may follow a colon. */
function normal(reason: string): string {
  return (reason.split(':')[0] ?? '').trim().toLowerCase().replaceAll(/[- ]/g, '_')
}
