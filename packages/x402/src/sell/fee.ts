import { InvalidInputError, parseUint } from '@opg/protocol'
import { SETTLEMENT_OVERRIDES_HEADER } from '@x402/core/server'

/** What an answer costs, or why that cannot be told. */
export type Fee =
  { readonly status: 'fee'; readonly fee: bigint } | { readonly status: 'unusable'; readonly message: string }

// As wide as what a handler may compute: above the cap it is the cap.
const asked = parseUint(256)

/**
 * The fee of an answer: what the handler asked for by `setSettlementOverrides`, the cap where it asked for nothing or
 * for more. What is no amount of OPG is not guessed at: stock servers would take the cap for broken JSON, and OPG for
 * dollars.
 *
 * @param amount of the requirements, as the stock server changed it by the override
 */
export function feeOf(input: {
  readonly amount: string
  readonly cap: bigint
  readonly responseHeaders: Readonly<Record<string, string>> | undefined
}): Fee {
  const { amount, cap, responseHeaders = {} } = input
  const header = Object.entries(responseHeaders).find(
    ([name]) => name.toLowerCase() === SETTLEMENT_OVERRIDES_HEADER.toLowerCase(),
  )?.[1]
  try {
    if (header !== undefined) refuseUnusable(header)
    const fee = asked(amount, 'settlement override')
    return { status: 'fee', fee: fee < cap ? fee : cap }
  } catch (error) {
    if (error instanceof InvalidInputError || error instanceof SyntaxError) {
      return { status: 'unusable', message: error.message }
    }
    throw error
  }
}

function refuseUnusable(header: string): void {
  const overrides: unknown = JSON.parse(header)
  const amount =
    typeof overrides === 'object' && overrides !== null && 'amount' in overrides ? overrides.amount : undefined
  if (typeof amount !== 'string' || amount.startsWith('$')) {
    throw new InvalidInputError({
      field: 'settlement override',
      expected: 'base units of OPG as decimal digits, or a percentage of the cap',
      value: amount,
    })
  }
}
