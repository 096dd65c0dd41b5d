import { MAX_CLAIM_WINDOW_SECONDS, type Order } from '@opg/protocol'
import type { CheckContext } from './candidate.js'
import { invalid, type Invalid } from './reasons.js'

/** The escrow takes orders that end within 90 days (F10); what ends before it can be mined is not worth its gas. */
export function refusalByClaimBy(
  { claimBy, payer }: Order,
  { nowSeconds, marginSeconds }: CheckContext,
): Invalid | undefined {
  const [least, most] = [nowSeconds + marginSeconds, nowSeconds + MAX_CLAIM_WINDOW_SECONDS]
  if (claimBy >= least && claimBy <= most) return undefined
  return invalid(
    'claim_by_out_of_range',
    `The order would end at ${String(claimBy)}, and must end from ${String(least)} to ${String(most)}.`,
    payer,
  )
}
