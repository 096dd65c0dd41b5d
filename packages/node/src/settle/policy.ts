/** When settling pays, and how it is done. */
export interface SettlePolicy {
  /** Rows in one transaction. */
  readonly batchSize: number
  /** Token transfers that the chain allows in one transaction: refunds of closed orders, and a claim (F15). */
  readonly maxTransfersPerBatch: number
  /** Base units of OPG that a wei of the chain's native coin is worth, as a fraction; 1/1 where OPG is the coin. */
  readonly opgPerWei: { readonly numerator: bigint; readonly denominator: bigint }
  /** A batch goes once its fees are so many times its gas. */
  readonly feesOverGas: bigint
  /** Fees that have waited so long go once they are worth their gas. */
  readonly maxAgeSeconds: number
  /** So long before `claimBy` an order is closed. */
  readonly closeBeforeClaimBySeconds: number
  /** An order that was not used for so long is closed; undefined leaves it open. */
  readonly idleCloseSeconds: number | undefined
  /** An order with less than this left is closed, in base units. */
  readonly minUsefulRest: bigint
  /** The node's credit, in base units, from which on it is claimed along with a settlement; undefined never. */
  readonly claimThreshold: bigint | undefined
  /** Gas that the verifier may spend on one slice: what it does not spend is not paid for. */
  readonly gasPerSlice: bigint
  /** Blocks that must stand on a transaction, its own included, before it is booked. */
  readonly confirmations: number
  /** So many blocks back, what was booked is checked against reorgs. */
  readonly reorgDepth: number
  /** Added to the estimated gas, in basis points. Chains charge part of the limit, so it is small. */
  readonly gasMarginBps: bigint
  /** After so long without being mined a transaction is replaced by one with higher fees. */
  readonly replaceAfterMs: number
}

export const DEFAULT_SETTLE_POLICY: SettlePolicy = {
  batchSize: 100,
  maxTransfersPerBatch: 101,
  opgPerWei: { numerator: 1n, denominator: 1n },
  feesOverGas: 10n,
  maxAgeSeconds: 3_600,
  closeBeforeClaimBySeconds: 600,
  idleCloseSeconds: undefined,
  minUsefulRest: 1n,
  claimThreshold: undefined,
  gasPerSlice: 200_000n,
  confirmations: 1,
  reorgDepth: 64,
  gasMarginBps: 500n,
  replaceAfterMs: 60_000,
}
