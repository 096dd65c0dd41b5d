import { setTimeout as sleep } from 'node:timers/promises'
import { type AnswerOptions, checkedAnswer } from './answers.js'
import { AnswerRefusedError, PaymentRefusedError, PaymentUncertainError } from './errors.js'
import { isEndOfOrder, isFinal, isPassing, reasonIn } from './refusals.js'
import type { RequestContext } from './requestContext.js'
import { WireError, onWire } from './wire.js'

export type Paid =
  | { readonly status: 'done'; readonly response: Response }
  /** The order behind the payment takes no more requests: paying under a new one may help. */
  | { readonly status: 'order-over'; readonly reason: string }

/** Says nothing of the payment: whether it arrived, or when it will be taken. */
interface Later {
  readonly status: 'later'
  readonly cause: unknown
  /** What the seller asks to wait, in milliseconds. */
  readonly afterMs: number
}

export interface SendOptions extends Omit<AnswerOptions, 'host'> {
  readonly context: RequestContext
  readonly attempts: number
  readonly backoffMs: number
}

const MAX_WAIT_MS = 10_000
const LATER = [409, 425, 429, 502, 503, 504]

/**
 * Sends one payment, the same each time, until it is answered, and checks the answer.
 *
 * @throws {PaymentUncertainError} {@link PaymentRefusedError} {@link AnswerRefusedError}
 */
export async function sendPaid(send: () => Promise<Response>, options: SendOptions): Promise<Paid> {
  const { context, attempts, backoffMs } = options
  for (let attempt = 1; ; attempt++) {
    const tried = await sendOnce(send, options)
    if (tried.status !== 'later') return tried
    if (attempt >= attempts) {
      throw new PaymentUncertainError({ host: context.host, attempts: attempt, cause: tried.cause })
    }
    const waitMs = Math.min(Math.max(backoffMs * 2 ** (attempt - 1), tried.afterMs), MAX_WAIT_MS)
    await sleep(waitMs, undefined, { signal: context.signal })
  }
}

async function sendOnce(send: () => Promise<Response>, options: SendOptions): Promise<Paid | Later> {
  try {
    return await judge(await onWire(send), options)
  } catch (error) {
    if (!(error instanceof WireError)) throw error
    options.context.signal.throwIfAborted()
    return { status: 'later', cause: error.cause, afterMs: 0 }
  }
}

async function judge(response: Response, options: SendOptions): Promise<Paid | Later> {
  const { payment } = options
  const { host } = options.context
  const { status } = response
  if (status >= 200 && status < 300) {
    return { status: 'done', response: await checkedAnswer(response, { ...options, host }) }
  }
  if (status >= 300 && status < 400) {
    await response.body?.cancel()
    // Wherever it leads, this payment was for here.
    throw new AnswerRefusedError({ host, field: 'status', expected: 'no redirect', found: String(status) })
  }
  if (status !== 402 && !LATER.includes(status)) {
    await payment.refuse() // the seller's own error: nothing is charged for it, as far as it says
    payment.end()
    return { status: 'done', response }
  }
  const reason = await reasonIn(response)
  if (isPassing(reason) || (status !== 402 && !isFinal(reason))) {
    const seconds = Number(response.headers.get('retry-after') ?? Number.NaN)
    return { status: 'later', cause: reason, afterMs: Number.isFinite(seconds) && seconds > 0 ? seconds * 1_000 : 0 }
  }
  await payment.refuse()
  payment.end()
  if (isEndOfOrder(reason) && payment.retire()) return { status: 'order-over', reason }
  throw new PaymentRefusedError({ host, reason })
}
