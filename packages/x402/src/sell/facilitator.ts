import {
  InvalidInputError,
  SELLER_MEMBER,
  parseSettledExtra,
  toWire,
  type Hex,
  type SellerStep,
  type SettledExtra,
} from '@opg/protocol'
import type { FacilitatorClient } from '@x402/core/server'
import { SettleError, type PaymentPayload, type PaymentRequirements, type SettleResponse } from '@x402/core/types'

/** One thing to ask of a facilitator. */
export interface Asked {
  readonly orderId: Hex
  readonly payment: PaymentPayload
  readonly requirements: PaymentRequirements
  readonly step: SellerStep
}

/** What came of it. Only `refused` and `unsent` say that nothing was done. */
export type Told =
  | { readonly status: 'done'; readonly state: SettledExtra['state']; readonly transaction: string }
  | { readonly status: 'refused'; readonly reason: string; readonly message: string }
  | { readonly status: 'unsent'; readonly reason: 'facilitator_unreachable'; readonly message: string }
  | { readonly status: 'unknown'; readonly reason: string; readonly message: string }

/** Reasons that leave open what will come: the facilitator is to be asked again. */
const OPEN_REASONS: readonly string[] = ['lock_pending', 'unavailable', 'settlement_pending']
/** The connection was never made, so nothing was sent. */
const UNSENT_CODES: readonly unknown[] = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']

/** What stands between may say these after the facilitator was reached. */
const BUSY_STATUSES: readonly number[] = [408, 425, 429]

/** Asks a facilitator to settle, with the seller's step in the payload, and waits for `timeoutMs` at most. Never throws. */
export async function askFacilitator(
  facilitator: Pick<FacilitatorClient, 'settle'>,
  { orderId, payment, requirements, step, timeoutMs }: Asked & { readonly timeoutMs: number },
): Promise<Told> {
  const payload = { ...payment, payload: { ...payment.payload, [SELLER_MEMBER]: toWire(step) } }
  const timer = new AbortController()
  try {
    const answer = await Promise.race([facilitator.settle(payload, requirements), expiry(timeoutMs, timer.signal)])
    if (answer === 'late') {
      return unknown('facilitator_timeout', `The facilitator did not answer within ${String(timeoutMs)} ms.`)
    }
    return answer.success ? accepted(answer, orderId) : declined(answer)
  } catch (error) {
    if (error instanceof SettleError) {
      // An error of the server says nothing, nor does a line that is busy or slow; one of the caller is an answer.
      const { errorReason: reason = 'facilitator_failed', errorMessage: message = error.message } = error
      return error.statusCode >= 500 || BUSY_STATUSES.includes(error.statusCode)
        ? unknown(reason, message)
        : declined({ errorReason: reason, errorMessage: message })
    }
    if (UNSENT_CODES.includes(causeCode(error))) {
      return { status: 'unsent', reason: 'facilitator_unreachable', message: 'The facilitator could not be reached.' }
    }
    return unknown('facilitator_failed', error instanceof Error ? error.message : 'The facilitator gave no answer.')
  } finally {
    timer.abort()
  }
}

function accepted({ extra, transaction }: SettleResponse, orderId: Hex): Told {
  try {
    const settled = parseSettledExtra(extra?.[SELLER_MEMBER])
    if (settled.orderId === orderId) return { status: 'done', state: settled.state, transaction }
    return unknown('facilitator_failed', `The facilitator answered for order ${settled.orderId}, not ${orderId}.`)
  } catch (error) {
    if (error instanceof InvalidInputError) return unknown('facilitator_failed', error.message)
    throw error
  }
}

function declined(answer: Pick<SettleResponse, 'errorReason' | 'errorMessage'>): Told {
  const { errorReason: reason = 'facilitator_failed', errorMessage: message = reason } = answer
  return OPEN_REASONS.includes(reason) ? unknown(reason, message) : { status: 'refused', reason, message }
}

function unknown(reason: string, message: string): Told {
  return { status: 'unknown', reason, message }
}

function causeCode(error: unknown): unknown {
  const cause: unknown = error instanceof Error ? error.cause : undefined
  return typeof cause === 'object' && cause !== null && 'code' in cause ? cause.code : undefined
}

function expiry(ms: number, signal: AbortSignal): Promise<'late'> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve('late')
    }, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
    })
  })
}
