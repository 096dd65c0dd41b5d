import type { Hex } from '@opg/protocol'
import type { Opening } from '../engine/types.js'

/** An order that a payment would open, as far as it can be judged without the chain. */
export interface Candidate {
  readonly status: 'candidate'
  /** Without its approval. */
  readonly opening: Opening
  /** What the payer signed. */
  readonly digest: Hex
}

/** What a check may ask besides the payment itself. */
export interface CheckContext {
  readonly nowSeconds: number
  /** Seconds that must be left of a signed deadline. */
  readonly marginSeconds: number
}
