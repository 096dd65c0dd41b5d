import { InvalidInputError } from './errors.js'

/** What a node asks, in base units. */
export interface PriceSheet {
  /** For each request. */
  readonly perRequest: bigint
  /** For a million input tokens. */
  readonly inputPerMillion: bigint
  /** For a million output tokens. */
  readonly outputPerMillion: bigint
}

/** Tokens that a request used. */
export interface TokenUsage {
  readonly inputTokens: bigint
  readonly outputTokens: bigint
}

const MILLION = 1_000_000n

/** The fee of a request in base units: `perRequest + ceil((input·pIn + output·pOut) / 10^6)`, at most `maxFee`. */
export function computeFee(sheet: PriceSheet, { maxFee, ...usage }: TokenUsage & { readonly maxFee: bigint }): bigint {
  const asked = askedFee(sheet, usage)
  refuseNegative({ maxFee })
  return asked < maxFee ? asked : maxFee
}

/** The most that a request can cost that uses at most so many tokens, in base units: what its `maxFee` must cover. */
export function quoteMaxFee(
  sheet: PriceSheet,
  { maxInputTokens, maxOutputTokens }: { readonly maxInputTokens: bigint; readonly maxOutputTokens: bigint },
): bigint {
  return askedFee(sheet, { inputTokens: maxInputTokens, outputTokens: maxOutputTokens })
}

function askedFee(sheet: PriceSheet, usage: TokenUsage): bigint {
  const { perRequest, inputPerMillion, outputPerMillion } = sheet
  const { inputTokens, outputTokens } = usage
  refuseNegative({ perRequest, inputPerMillion, outputPerMillion, inputTokens, outputTokens })
  const metered = inputTokens * inputPerMillion + outputTokens * outputPerMillion
  // The one rounding: up, to the node's good, by less than a base unit.
  return perRequest + (metered + MILLION - 1n) / MILLION
}

function refuseNegative(values: Readonly<Record<string, unknown>>): void {
  for (const [field, value] of Object.entries(values)) {
    if (typeof value !== 'bigint' || value < 0n) {
      throw new InvalidInputError({ field, expected: 'a bigint of at least 0', value })
    }
  }
}
