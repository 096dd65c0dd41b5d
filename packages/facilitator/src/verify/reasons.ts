import type { Address } from '@opg/protocol'

/**
 * Why a payment is not taken: `invalidReason` and `errorReason` on the wire. The names are those of the stock `upto`
 * facilitator where it has one. docs/FACILITATOR.md says of each what to do.
 */
export const REASONS = [
  'invalid_x402_version',
  'unsupported_scheme',
  'invalid_network',
  'invalid_payload',
  'invalid_payment_requirements',
  'invalid_upto_evm_scheme',
  'invalid_upto_evm_network_mismatch',
  'invalid_permit2_spender',
  'invalid_permit2_recipient_mismatch',
  'upto_facilitator_mismatch',
  'permit2_deadline_expired',
  'permit2_not_yet_valid',
  'permit2_amount_mismatch',
  'permit2_token_mismatch',
  'invalid_permit2_signature',
  'permit2_invalid_nonce',
  'permit2_insufficient_balance',
  'permit2_allowance_required',
  'permit2_simulation_failed',
  'invalid_eip2612_extension_format',
  'eip2612_from_mismatch',
  'eip2612_asset_mismatch',
  'eip2612_spender_not_permit2',
  'eip2612_deadline_expired',
  'permit2_2612_amount_mismatch',
  'offer_mismatch',
  'offer_not_served',
  'claim_by_out_of_range',
  'payment_already_used',
  'seller_step_missing',
  'seller_step_invalid',
  'evidence_invalid',
  'order_unknown',
  'order_expired',
  'capture_conflict',
  'capture_failed',
  'over_limit',
  'amount_too_small',
  'lock_pending',
  'lock_refused',
  'unavailable',
] as const

export type Reason = (typeof REASONS)[number]

/** A payment that is not taken, and why. */
export interface Invalid {
  readonly status: 'invalid'
  readonly reason: Reason
  /** One or two sentences: what was expected, what was found, what to do next. */
  readonly message: string
  readonly payer?: Address | undefined
  /** With `over_limit`: which. */
  readonly limit?: ReachedLimit | undefined
}

/** A limit of the operator's that one more opening would exceed; named as its setting is. */
export interface ReachedLimit {
  readonly name: string
  readonly limit?: number
  readonly found?: number
  /** Whole seconds, at least one. */
  readonly retryAfterSeconds?: number
}

export function invalid(reason: Reason, message: string, payer?: Address): Invalid {
  return { status: 'invalid', reason, message, payer }
}
