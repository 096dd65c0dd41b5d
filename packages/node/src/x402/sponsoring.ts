import type { Sleep } from '@opg/operator'
import type { Facilitator } from './facilitator.js'

/** x402's extension by which a facilitator pays for a payer's first approval of Permit2 (EIP-2612). */
const EXTENSION = 'eip2612GasSponsoring'

/** What a 402 says, so that clients whose wallet did not approve Permit2 yet sign that too. */
const SPONSORED: Readonly<Record<string, unknown>> = {
  [EXTENSION]: {
    info: { description: 'A payer may approve Permit2 by signature; the facilitator sends it.', version: '1' },
    schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' },
  },
}

/** Whether the facilitator pays for approvals, as it said last. */
export interface Sponsoring {
  /** Extensions that go with a 402. */
  readonly extensions: Readonly<Record<string, unknown>> | undefined
  /** Asks at once, and again and again until aborted. Without an answer, what it said before stands. */
  run(options: { readonly signal: AbortSignal; readonly intervalMs: number }): Promise<void>
}

export function createSponsoring(facilitator: Pick<Facilitator, 'extensions'>, sleep: Sleep): Sponsoring {
  let extensions: Sponsoring['extensions']
  return {
    get extensions() {
      return extensions
    },
    run: async ({ signal, intervalMs }) => {
      while (!signal.aborted) {
        const told = await facilitator.extensions(signal)
        if (told !== undefined) extensions = told.includes(EXTENSION) ? SPONSORED : undefined
        await sleep(intervalMs, signal)
      }
    },
  }
}
