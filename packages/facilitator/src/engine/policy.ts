/** How the engine batches, waits, pays and gives up. */
export interface EnginePolicy {
  /** So long openings wait for others to share a transaction with. */
  readonly gatherMs: number
  /** Orders in one transaction. */
  readonly maxOpenings: number
  /** Gas for the pull of one order in a batch, exactly, and with a little more for an order alone (F5). */
  readonly gasPerOrder: bigint
  /** Captures in one transaction, and orders reclaimed in one. */
  readonly maxClosings: number
  /** Gas that one capture may take, its verifier included: more, and it has failed. */
  readonly gasPerCapture: bigint
  /** Larger transactions are divided. */
  readonly maxGasPerTransaction: bigint
  /** Transactions of one key that are not mined yet: no more are sent. A quarter is kept for openings, and one for closings. */
  readonly maxPending: number
  /** So long captures wait for others. */
  readonly captureIntervalMs: number
  /** A capture goes at once if its order's `claimBy` is nearer than this. */
  readonly urgentSeconds: number
  /** So long after `claimBy` an order that nobody captured is reclaimed. */
  readonly reclaimDelaySeconds: number
  /** Blocks that must stand on a state, its own included, before it counts. */
  readonly confirmations: number
  /** So many blocks back, what was booked is checked against reorgs. */
  readonly reorgDepth: number
  /** Added to the estimated gas, in basis points. */
  readonly gasMarginBps: bigint
  /** After so long without being mined a transaction is replaced by one with higher fees. */
  readonly replaceAfterMs: number
  /** Wei per gas: no transaction offers more. */
  readonly maxFeePerGas: bigint
  /** Wei: with less on every sending key, nothing new is locked. */
  readonly minBalance: bigint
  /** Orders that are not open yet: of one payer, and of all. */
  readonly maxUnopenedOfPayer: number
  readonly maxUnopened: number
  /** Orders of one hour that earned less than `leastFee`: of one payer, those that run included; of one node, those that are over. */
  readonly maxUnpaidOfPayer: number
  readonly maxUnpaidOfNode: number
  /** Base units. */
  readonly leastFee: bigint
  /** Orders of one hour, whatever they earned. Of these four, 0 is no limit. */
  readonly maxOpeningsOfPayer: number
  readonly maxOpeningsOfNode: number
  /** After so many failures on chain an opening is refused, and a capture has failed. */
  readonly maxTries: number
  /** So often the chain and the books are looked at. */
  readonly pollMs: number
  /** So long an order rests that can neither be sent nor given up now. */
  readonly restMs: number
}

const GWEI = 10n ** 9n

export const DEFAULT_ENGINE_POLICY: EnginePolicy = {
  gatherMs: 30,
  maxOpenings: 100,
  gasPerOrder: 250_000n,
  maxClosings: 50,
  gasPerCapture: 1_000_000n,
  maxGasPerTransaction: 12_000_000n,
  maxPending: 16,
  captureIntervalMs: 5_000,
  urgentSeconds: 600,
  reclaimDelaySeconds: 30,
  confirmations: 1,
  reorgDepth: 64,
  gasMarginBps: 500n,
  replaceAfterMs: 30_000,
  maxFeePerGas: 500n * GWEI,
  minBalance: 0n,
  maxUnopenedOfPayer: 100,
  maxUnopened: 10_000,
  maxUnpaidOfPayer: 3_000,
  maxUnpaidOfNode: 0,
  leastFee: 10n ** 15n,
  maxOpeningsOfPayer: 0,
  maxOpeningsOfNode: 0,
  maxTries: 3,
  pollMs: 250,
  restMs: 1_000,
}
