import type { LockOutcome, Opening } from './engine/types.js'
import { invalid, type Invalid, type ReachedLimit } from './verify/reasons.js'

type Limited = Extract<LockOutcome, { readonly status: 'limited' }>

const STANDING = {
  payer: { name: 'maxUnopenedOfPayer', message: 'Too many orders of this payer are on their way.' },
  all: { name: 'maxUnopened', message: 'Too many orders are on their way.' },
  balance: { name: 'minBalance', message: 'The facilitator is short of gas money.' },
} as const

/** Says which limit an opening would exceed, what was found, and when to try again. */
export function refusalByLimit(limited: Limited, { opening, nowMs }: LimitContext): Invalid {
  const { payer } = opening.order
  if (limited.reason !== 'quota') {
    const { name, message } = STANDING[limited.reason]
    return { ...invalid('over_limit', `${message} Try again later.`, payer), limit: { name } }
  }
  const { name, limit, found, freeAtMs } = limited.quota
  const retryAfterSeconds = Math.max(1, Math.ceil((freeAtMs - nowMs) / 1000))
  const whose = name.endsWith('OfNode') ? `Node ${opening.terms.node}` : `Payer ${payer}`
  const what = name.startsWith('unpaid') ? 'openings without a fee worth their gas' : 'openings'
  const message = `${whose} has had ${String(found)} ${what} of late, and the limit (${name}) is ${String(limit)}. Try again in ${String(retryAfterSeconds)} seconds.`
  const reached: ReachedLimit = { name, limit, found, retryAfterSeconds }
  return { ...invalid('over_limit', message, payer), limit: reached }
}

interface LimitContext {
  readonly opening: Opening
  readonly nowMs: number
}
