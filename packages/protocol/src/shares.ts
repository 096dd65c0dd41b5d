import { BPS, MAX_FACILITATOR_BPS, MAX_NETWORK_BPS, MAX_ROYALTY_BPS } from './constants.js'
import { InvalidInputError } from './errors.js'

/** How fees divide, in base units. The four add up to the fees, exactly (E7). */
export interface FeeShares {
  readonly node: bigint
  readonly facilitator: bigint
  readonly royalty: bigint
  readonly network: bigint
}

/** The shares of an order in basis points: two of them as they stood when it opened, the facilitator's as signed. */
export interface ShareRates {
  readonly networkBps: number
  readonly royaltyBps: number
  readonly facilitatorBps: number
}

/**
 * Divides the fees between two cumulative totals of an order as the escrow does.
 *
 * Each part is a function of the cumulative fee that never falls, since each division takes from what the one before
 * it left: so splitting a settlement gains nobody anything, and no part is ever negative.
 *
 * @throws {InvalidInputError} if a rate is over its cap, or the totals are negative or fall
 */
export function sharesOf(input: ShareRates & { readonly before: bigint; readonly cumulative: bigint }): FeeShares {
  const { before, cumulative } = input
  checkRate('networkBps', input.networkBps, MAX_NETWORK_BPS)
  checkRate('royaltyBps', input.royaltyBps, MAX_ROYALTY_BPS)
  checkRate('facilitatorBps', input.facilitatorBps, MAX_FACILITATOR_BPS)
  if (before < 0n) throw new InvalidInputError({ field: 'before', expected: 'at least 0', value: before })
  if (cumulative < before) {
    throw new InvalidInputError({ field: 'cumulative', expected: `at least ${String(before)}`, value: cumulative })
  }
  const [now, then] = [totals(input, cumulative), totals(input, before)]
  return {
    node: now.node - then.node,
    facilitator: now.facilitator - then.facilitator,
    royalty: now.royalty - then.royalty,
    network: now.network - then.network,
  }
}

function totals(rates: ShareRates, cumulative: bigint): FeeShares {
  const networkBps = BigInt(rates.networkBps)
  const royaltyBps = BigInt(rates.royaltyBps)
  const facilitatorBps = BigInt(rates.facilitatorBps)
  const poolBps = networkBps + royaltyBps + facilitatorBps
  const pool = (cumulative * poolBps) / BigInt(BPS)
  const network = portion(pool, networkBps, poolBps)
  const royalty = portion(pool - network, royaltyBps, royaltyBps + facilitatorBps)
  return { node: cumulative - pool, network, royalty, facilitator: pool - network - royalty }
}

function portion(whole: bigint, part: bigint, parts: bigint): bigint {
  return parts === 0n ? 0n : (whole * part) / parts
}

function checkRate(field: string, value: number, maximum: number): void {
  if (!Number.isInteger(value) || value < 0 || value > maximum) {
    throw new InvalidInputError({ field, expected: `a whole number of basis points up to ${String(maximum)}`, value })
  }
}
