import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import { SELLER_MEMBER, toWire, type LockStep } from '@opg/protocol'
import { withLinkedSignal } from '../http/linkSignals.js'

/** Asks a facilitator to lock the money of a payment. */
export interface Facilitator {
  lock(request: LockRequest, signal: AbortSignal): Promise<LockAnswer>
  /** Names of the x402 extensions that it takes; undefined where it does not tell. */
  extensions(signal: AbortSignal): Promise<readonly string[] | undefined>
}

export interface LockRequest {
  readonly payment: Pick<PaymentPayload, 'accepted' | 'payload' | 'extensions'>
  readonly step: LockStep
}

/** What a facilitator says. It is not believed: the chain is asked whether the money is locked. */
export type LockAnswer =
  | { readonly status: 'locked'; readonly transaction: string }
  /** It will not lock it. */
  | { readonly status: 'refused'; readonly reason: string; readonly message: string }
  /** Nobody knows: it may be locked, or may be yet. */
  | { readonly status: 'unknown'; readonly detail: string }

/** What a facilitator says that means "later". */
const LATER: readonly string[] = ['lock_pending', 'unavailable']
/** More than any answer of `/settle` needs. */
const MAX_ANSWER_BYTES = 65_536
const TRANSACTION = /^0x[0-9a-fA-F]{64}$/

/** A facilitator behind x402's HTTP interface. */
export function createFacilitator(options: {
  /** What stands before `/settle` and `/supported`. */
  readonly url: string
  readonly timeoutMs: number
  readonly fetch: typeof globalThis.fetch
}): Facilitator {
  const url = options.url.replace(/\/+$/, '')

  /** What it answers with status 200, as JSON; or the other status. */
  function ask(path: string, init: RequestInit, signal: AbortSignal): Promise<{ readonly json: unknown } | number> {
    return withLinkedSignal([signal, AbortSignal.timeout(options.timeoutMs)], async (linked) => {
      const response = await options.fetch(`${url}${path}`, { ...init, redirect: 'error', signal: linked })
      if (response.status === 200) return { json: JSON.parse(await limitedText(response)) as unknown }
      await response.body?.cancel()
      return response.status
    })
  }

  return {
    lock: async ({ payment, step }, signal) => {
      const requirements: PaymentRequirements = payment.accepted
      const body = JSON.stringify({
        x402Version: 2,
        paymentPayload: {
          x402Version: 2,
          accepted: requirements,
          payload: { ...payment.payload, [SELLER_MEMBER]: toWire(step) },
          ...(payment.extensions === undefined ? {} : { extensions: payment.extensions }),
        },
        paymentRequirements: requirements,
      })
      try {
        const headers = { 'content-type': 'application/json' }
        const answer = await ask('/settle', { method: 'POST', headers, body }, signal)
        if (typeof answer === 'object') return answerOf(answer.json)
        return { status: 'unknown', detail: `it answered with status ${String(answer)}` }
      } catch {
        return { status: 'unknown', detail: 'it did not answer, or not in time' }
      }
    },
    extensions: async (signal) => {
      try {
        const answer = await ask('/supported', {}, signal)
        return typeof answer === 'object' ? extensionsOf(answer.json) : undefined
      } catch {
        return undefined
      }
    },
  }
}

function answerOf(value: unknown): LockAnswer {
  if (typeof value !== 'object' || value === null || !('success' in value)) return strange()
  const answer = new Map<string, unknown>(Object.entries(value))
  if (answer.get('success') === true) {
    const transaction = answer.get('transaction')
    return {
      status: 'locked',
      transaction: typeof transaction === 'string' && TRANSACTION.test(transaction) ? transaction : '',
    }
  }
  const reason = answer.get('errorReason')
  if (typeof reason !== 'string' || !/^[a-z0-9_]{1,100}$/.test(reason)) return strange()
  if (LATER.includes(reason)) return { status: 'unknown', detail: `it said ${reason}` }
  const message = answer.get('errorMessage')
  return { status: 'refused', reason, message: typeof message === 'string' ? message.slice(0, 500) : '' }
}

function extensionsOf(value: unknown): readonly string[] | undefined {
  if (typeof value !== 'object' || value === null || !('extensions' in value)) return undefined
  const { extensions } = value
  return Array.isArray(extensions) ? extensions.filter((name) => typeof name === 'string') : undefined
}

function strange(): LockAnswer {
  return { status: 'unknown', detail: 'its answer is none of x402' }
}

async function limitedText({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of (body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length
    if (length > MAX_ANSWER_BYTES) throw new RangeError('the answer is too long')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
