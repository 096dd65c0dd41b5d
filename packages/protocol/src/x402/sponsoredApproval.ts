/** The x402 extension by which a facilitator pays for a payer's first approval of Permit2 (EIP-2612). */
export const EIP2612_EXTENSION = 'eip2612GasSponsoring'

/** The extension as a demand of status 402 has it, so that clients whose wallet did not approve Permit2 yet sign that too. */
export const SPONSORED_APPROVAL: Readonly<Record<string, unknown>> = {
  [EIP2612_EXTENSION]: {
    info: { description: 'A payer may approve Permit2 by signature; the facilitator sends it.', version: '1' },
    schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' },
  },
}
