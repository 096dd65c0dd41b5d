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
 * Divides the fees between two cumulative totals of an order as the escrow does when it settles that order alone.
 *
 * What is not the node's is the pool: `floor(cumulative * (network + royalty + facilitator) / 10,000)`, which never
 * falls, so splitting a settlement gains node and payer nothing. What a settlement adds to the pool is divided: network
 * first, then royalty, then facilitator, each rounded down but the last that has a share. (The escrow divides once per
 * call, over all orders of it that opened under the same shares.)
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
  const networkBps = BigInt(input.networkBps)
  const royaltyBps = BigInt(input.royaltyBps)
  const othersBps = royaltyBps + BigInt(input.facilitatorBps)
  const poolBps = networkBps + othersBps
  const pool = portion(cumulative, poolBps, BigInt(BPS)) - portion(before, poolBps, BigInt(BPS))
  const network = portion(pool, networkBps, poolBps)
  const royalty = portion(pool - network, royaltyBps, othersBps)
  return { node: cumulative - before - pool, network, royalty, facilitator: pool - network - royalty }
}

function portion(whole: bigint, part: bigint, parts: bigint): bigint {
  return parts === 0n ? 0n : (whole * part) / parts
}

function checkRate(field: string, value: number, maximum: number): void {
  if (!Number.isInteger(value) || value < 0 || value > maximum) {
    throw new InvalidInputError({ field, expected: `a whole number of basis points up to ${String(maximum)}`, value })
  }
}
