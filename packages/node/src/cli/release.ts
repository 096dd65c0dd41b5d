import { CommandRefusedError, EXIT, WaitEndedError, print, type ExitCode } from '@opg/operator'
import { parseBytes32, toWire, type Hex } from '@opg/protocol'
import { withNode, type CommandContext } from './context.js'
import type { WiredNode } from './wire.js'

export interface ReleaseArguments {
  readonly forgoFees: boolean
  readonly waitSeconds: number
}

const POLL_MS = 200

/** `opg-node release`: gives an order, or a slice, back for nothing, and waits until that is booked. */
export async function releaseCommand(
  context: CommandContext,
  { orderId: given, args }: { readonly orderId: string; readonly args: ReleaseArguments },
): Promise<ExitCode> {
  const orderId = parseBytes32(given, 'orderId')
  return withNode(context, {
    signs: true,
    work: async (node) => {
      await release(context, { node, orderId, args })
      const order = await node.payments.store.order(orderId)
      const lines = [`Released ${orderId}.`]
      print(context, { wire: toWire({ orderId, chain: order?.chain ?? null, released: order?.released ?? 0n }), lines })
      return EXIT.ok
    },
  })
}

async function release(
  { edge }: CommandContext,
  input: { readonly node: WiredNode; readonly orderId: Hex; readonly args: ReleaseArguments },
): Promise<void> {
  const { node, orderId, args } = input
  const { store, settler } = node.payments
  const order = await store.order(orderId)
  if (order === undefined) throw new CommandRefusedError('ORDER_UNKNOWN', `These books do not know order ${orderId}.`)
  if (order.chain !== 'open') {
    throw new CommandRefusedError(
      'ORDER_NOT_OPEN',
      `Order ${orderId} is ${order.chain} on chain; there is nothing to give back.`,
    )
  }
  const late = new AbortController()
  const timer = setTimeout(() => {
    late.abort()
  }, args.waitSeconds * 1000)
  const stopListening = edge.onStop(() => {
    late.abort()
  })
  try {
    // Another process may hold the lane; and what is on its way is followed before anything else.
    while (!late.signal.aborted) {
      const current = await store.order(orderId)
      if (current?.chain === 'closed') return
      if (current?.inFlight === true) await settler.settleOnce()
      else await settler.release(orderId, { forgoFees: args.forgoFees })
      if ((await store.order(orderId))?.chain !== 'closed') await edge.sleep(POLL_MS, late.signal)
    }
  } finally {
    clearTimeout(timer)
    stopListening()
  }
  if ((await store.order(orderId))?.chain !== 'closed') throw new WaitEndedError('The release')
}
