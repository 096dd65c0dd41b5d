import type { LockOutcome, Opening } from './engine/types.js'
import { invalid, type Invalid, type ReachedLimit } from './verify/reasons.js'

type Limited = Extract<LockOutcome, { readonly status: 'limited' }>['limit']

const WHAT: Readonly<Record<Limited['name'], (opening: Opening) => string>> = {
  maxUnopenedOfPayer: ({ order }) => `orders of payer ${order.payer} are on their way`,
  maxUnopened: () => 'orders are on their way',
  maxUnpaidOfPayer: ({ order }) => `orders of payer ${order.payer} within an hour have paid no fee worth their gas yet`,
  maxUnpaidOfNode: ({ terms }) => `orders of node ${terms.node} within an hour ended without a fee worth their gas`,
  maxOpeningsOfPayer: ({ order }) => `orders of payer ${order.payer} were opened within an hour`,
  maxOpeningsOfNode: ({ terms }) => `orders of node ${terms.node} were opened within an hour`,
  minBalance: () => 'The facilitator is short of gas money',
}

/** Says which limit an opening would exceed, what was found, and when to try again. */
export function refusalByLimit(
  limited: Limited,
  { opening, nowMs }: { readonly opening: Opening; readonly nowMs: number },
): Invalid {
  const { payer } = opening.order
  const { name } = limited
  const what = WHAT[name](opening)
  if (!('limit' in limited)) return { ...invalid('over_limit', `${what}. Try again later.`, payer), limit: { name } }
  const { limit, found, freeAtMs } = limited
  const wait = freeAtMs === undefined ? {} : { retryAfterSeconds: Math.max(1, Math.ceil((freeAtMs - nowMs) / 1000)) }
  const reached: ReachedLimit = { name, limit, found, ...wait }
  const when = reached.retryAfterSeconds === undefined ? 'later' : `in ${String(reached.retryAfterSeconds)} seconds`
  const message = `${String(found)} ${what}, and ${name} is ${String(limit)}. Try again ${when}.`
  return { ...invalid('over_limit', message, payer), limit: reached }
}
