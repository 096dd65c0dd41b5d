import { EXIT, WaitEndedError, print, type ExitCode } from '@opg/operator'
import { formatOpg, toWire } from '@opg/protocol'
import { withNode, type CommandContext } from './context.js'

const POLL_MS = 200

/** `opg-node claim`: pays the node's credit out to its address, and waits until that is booked. */
export async function claimCommand(context: CommandContext, args: { readonly waitSeconds: number }): Promise<ExitCode> {
  return withNode(context, {
    signs: false,
    work: async ({ payments }) => {
      const { settler, store, chain, node } = payments
      const before = await chain.credits(node)
      const known = new Set((await store.entries()).map(({ id }) => id))
      const late = new AbortController()
      const timer = setTimeout(() => {
        late.abort()
      }, args.waitSeconds * 1000)
      const stopListening = context.edge.onStop(() => {
        late.abort()
      })
      try {
        // A pass follows the claim of the one before; another process may hold the lane meanwhile.
        for (;;) {
          await settler.claim()
          const isPending = (await store.pendingEntries()).some(({ kind }) => kind === 'claim')
          if (!isPending && ((await chain.credits(node)) === 0n || late.signal.aborted)) break
          if (late.signal.aborted) throw new WaitEndedError('The claim')
          await context.edge.sleep(POLL_MS, late.signal)
        }
      } finally {
        clearTimeout(timer)
        stopListening()
      }
      const left = await chain.credits(node)
      const claimed = before > left ? before - left : 0n
      const mine = (await store.entries()).filter(({ id, kind }) => kind === 'claim' && !known.has(id))
      const transactions = mine.map(({ state, attempts }) => ({
        kind: 'claim',
        state,
        hash: attempts.at(-1)?.hash ?? null,
      }))
      print(context, {
        wire: toWire({ claimed, to: node, credits: left, transactions }),
        lines: [claimed === 0n ? 'Nothing to claim.' : `Claimed ${formatOpg(claimed)} OPG to ${node}.`],
      })
      if (left > 0n && claimed === 0n) throw new WaitEndedError('The claim')
      return EXIT.ok
    },
  })
}
