import {
  type Address,
  InvalidInputError,
  MAX_FACILITATOR_BPS,
  type Offer,
  type Terms,
  type WorkOrderExtra,
  deskAddress,
  parseAddress,
  parseBaseUnits,
  parseSmallUint,
  parseUptoExtra,
  parseWorkOrderExtra,
} from '@opg/protocol'
import type { PaymentRequirements } from '@x402/core/types'
import { OfferRefusedError } from './errors.js'
import type { Judge, Market } from './market.js'

/** An offer that was checked against the chain. */
export interface CheckedOffer {
  /** Base units: the most that the request can cost. */
  readonly amount: bigint
  readonly judge: Judge
}
export interface WorkOrderOffer extends CheckedOffer {
  readonly extra: WorkOrderExtra
}
export interface UptoOffer extends CheckedOffer {
  readonly offer: Offer
  readonly desk: Address
}

/**
 * Checks `work-order` requirements.
 *
 * @param maxLockSeconds the longest that the seller may have to settle
 * @throws {OfferRefusedError} naming what is wrong
 * @throws {ChainUnavailableError}
 */
export async function checkWorkOrderOffer(
  requirements: PaymentRequirements,
  { market, maxLockSeconds }: { readonly market: Market; readonly maxLockSeconds: number },
): Promise<WorkOrderOffer> {
  const amount = checkParties(requirements, market)
  const extra = reading(() => parseWorkOrderExtra(requirements.extra))
  const { terms, deploymentChainId, minSecondsToClaimBy, vouchers } = extra
  expect('extra.deploymentChainId', String(deploymentChainId), market.escrow.deploymentChainId.toString())
  checkShares(terms)
  checkWindow('extra.minSecondsToClaimBy', minSecondsToClaimBy, maxLockSeconds)
  const judge = await market.judge(terms)
  expect('extra.vouchers', String(vouchers), String(judge.vouchers))
  return { amount, extra, judge }
}

/**
 * Checks `upto` requirements: the desk is computed anew, for whoever signs it signs the offer behind it.
 *
 * @throws {OfferRefusedError} naming what is wrong
 * @throws {ChainUnavailableError}
 */
export async function checkUptoOffer(
  requirements: PaymentRequirements,
  { market, maxLockSeconds }: { readonly market: Market; readonly maxLockSeconds: number },
): Promise<UptoOffer> {
  const amount = checkParties(requirements, market)
  const { adapter, facilitatorAddress, offer } = reading(() => parseUptoExtra(requirements.extra))
  checkShares(offer.terms)
  checkWindow('extra.offer.claimWindow', offer.claimWindow, maxLockSeconds)
  const desk = deskAddress({ adapter, initCodeHash: await market.desksOf(adapter), offer })
  expect('extra.facilitatorAddress', facilitatorAddress, desk)
  const judge = await market.judge(offer.terms)
  if (judge.vouchers) {
    throw new OfferRefusedError({
      field: 'extra.offer.terms.verifier',
      expected: 'one without vouchers, which upto cannot bring',
      found: offer.terms.verifier,
    })
  }
  return { amount, offer, desk, judge }
}

/** Network, asset and payee. Returns the amount in base units. */
function checkParties(requirements: PaymentRequirements, { network, escrow }: Market): bigint {
  expect('network', requirements.network, network)
  return reading(() => {
    expect('asset', parseAddress(requirements.asset, 'asset'), escrow.token)
    expect('payTo', parseAddress(requirements.payTo, 'payTo'), escrow.escrow)
    parseSmallUint(32)(requirements.maxTimeoutSeconds, 'maxTimeoutSeconds')
    return parseBaseUnits(requirements.amount, 'amount')
  })
}

function checkShares(terms: Terms): void {
  if (terms.facilitatorBps <= MAX_FACILITATOR_BPS) return
  throw new OfferRefusedError({
    field: 'terms.facilitatorBps',
    expected: `at most ${String(MAX_FACILITATOR_BPS)} basis points`,
    found: String(terms.facilitatorBps),
  })
}

/** Money that the seller leaves alone comes back only after its window. */
function checkWindow(field: string, seconds: number, most: number): void {
  if (seconds <= most) return
  throw new OfferRefusedError({ field, expected: `at most ${String(most)} seconds`, found: String(seconds) })
}

function expect(field: string, found: string, expected: string): void {
  if (found !== expected) throw new OfferRefusedError({ field, expected, found })
}

function reading<T>(read: () => T): T {
  try {
    return read()
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause
    throw new OfferRefusedError({ field: cause.field, expected: cause.expected, found: cause.found, cause })
  }
}
