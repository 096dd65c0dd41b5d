import type { Sleep } from '@opg/operator'
import { EIP2612_EXTENSION, SPONSORED_APPROVAL } from '@opg/protocol'
import type { Facilitator } from './facilitator.js'

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
        if (told !== undefined) extensions = told.includes(EIP2612_EXTENSION) ? SPONSORED_APPROVAL : undefined
        await sleep(intervalMs, signal)
      }
    },
  }
}
