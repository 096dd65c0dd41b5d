import type { FacilitatorService, SettleAnswer, VerifyAnswer } from './service.js'
import type { Scheme } from './verify/offers.js'

/** x402's `SchemeNetworkFacilitator`: register it with a stock `x402Facilitator`, for the network of its escrow. */
export interface FacilitatorScheme {
  readonly scheme: Scheme
  readonly caipFamily: 'eip155:*'
  /** Nothing: a stock server would write a published `facilitatorAddress` over the desk that binds the offer. */
  getExtra(network: string): undefined
  /** Whose transactions open and capture. */
  getSigners(network: string): string[]
  verify(payload: object, requirements: object): Promise<VerifyAnswer>
  settle(payload: object, requirements: object): Promise<SettleAnswer>
}

/** Stock `upto` payments into the escrow, for a facilitator of somebody else's. */
export function uptoScheme(service: FacilitatorService): FacilitatorScheme {
  return schemeOf('upto', service)
}

/** Openings of `work-order` sessions, for a facilitator of somebody else's. */
export function workOrderScheme(service: FacilitatorService): FacilitatorScheme {
  return schemeOf('work-order', service)
}

function schemeOf(scheme: Scheme, service: FacilitatorService): FacilitatorScheme {
  return {
    scheme,
    caipFamily: 'eip155:*',
    getExtra: () => undefined,
    getSigners: () => [service.policy.facilitator],
    verify: (payload, requirements) => service.verify(payload, requirements),
    settle: (payload, requirements) => service.settle(payload, requirements),
  }
}
