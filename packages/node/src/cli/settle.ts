import { CommandRefusedError, EXIT, WaitEndedError, countOf, print, type ExitCode } from '@opg/operator'
import { formatOpg, parseBytes32, toWire, type Hex } from '@opg/protocol'
import { candidateOf, groupsOf, type Group } from '../settle/candidates.js'
import type { OutboxEntry } from '../store/outboxTypes.js'
import type { StoredOrder } from '../store/types.js'
import { withNode, type CommandContext } from './context.js'
import type { WiredNode } from './wire.js'

export interface SettleArguments {
  readonly dryRun: boolean
  /** Orders to close, as given. */
  readonly close: readonly string[]
  readonly waitSeconds: number
}

const POLL_MS = 200

/** `opg-node settle`: settles all that can be settled, however little it is, and waits until it is booked. */
export async function settleCommand(context: CommandContext, args: SettleArguments): Promise<ExitCode> {
  const toClose = args.close.map((id) => parseBytes32(id, '--close'))
  return withNode(context, {
    signs: true,
    work: async (node) => {
      for (const orderId of toClose) await refuseUnclosable(node, orderId)
      return args.dryRun
        ? showPlan(context, { node, toClose })
        : settleNow(context, { node, toClose, waitSeconds: args.waitSeconds })
    },
  })
}

async function refuseUnclosable({ payments }: WiredNode, orderId: Hex): Promise<void> {
  const order = await payments.store.order(orderId)
  if (order === undefined) throw new CommandRefusedError('ORDER_UNKNOWN', `These books do not know order ${orderId}.`)
  if (order.chain !== 'open') {
    throw new CommandRefusedError(
      'ORDER_NOT_OPEN',
      `Order ${orderId} is ${order.chain} on chain; there is nothing to close.`,
    )
  }
}

async function settleNow(
  context: CommandContext,
  input: { readonly node: WiredNode; readonly toClose: readonly Hex[]; readonly waitSeconds: number },
): Promise<ExitCode> {
  const { payments } = input.node
  const { edge } = context
  // What was booked before is not this command's doing; what was on its way may be.
  const booked = new Set((await payments.store.entries()).flatMap(({ id, state }) => (state === 'pending' ? [] : [id])))
  for (const orderId of input.toClose) await payments.store.startClosing(orderId, 'requested')

  const late = new AbortController()
  const timer = setTimeout(() => {
    late.abort()
  }, input.waitSeconds * 1000)
  const stopListening = edge.onStop(() => {
    late.abort()
  })
  try {
    // An order on which requests run is closed as soon as they are answered.
    for (;;) {
      await payments.settler.settleAll({ signal: late.signal })
      if (late.signal.aborted || (await areClosed(input.node, input.toClose))) break
      await edge.sleep(POLL_MS, late.signal)
    }
  } finally {
    clearTimeout(timer)
    stopListening()
  }

  const entries = await payments.store.entries()
  const transactions = entries.filter(({ id, kind }) => kind === 'settle' && !booked.has(id))
  const status = await payments.status()
  const stuck = status.orders.filter(({ chain, unsettled }) => chain === 'open' && unsettled > 0n)
  print(context, {
    wire: toWire({
      transactions: transactions.map(transactionWire),
      unsettled: status.totals.unsettled,
      credits: status.credits ?? null,
    }),
    lines: [
      ...transactions.map(transactionLine),
      `${transactions.length === 0 ? 'Nothing to settle. ' : ''}Unsettled ${formatOpg(status.totals.unsettled)} OPG.`,
    ],
  })
  if (transactions.some(({ state }) => state === 'pending') || !(await areClosed(input.node, input.toClose))) {
    throw new WaitEndedError('A settlement')
  }
  if (stuck.length === 0) return EXIT.ok
  throw new CommandRefusedError(
    'NOT_SETTLED',
    `Fees of ${String(stuck.length)} orders were not settled: ${stuck.map(({ orderId, blocked }) => `${orderId} (${blocked ?? 'refused, or in use'})`).join(', ')}.`,
  )
}

async function areClosed({ payments }: WiredNode, orderIds: readonly Hex[]): Promise<boolean> {
  const orders = await Promise.all(orderIds.map((orderId) => payments.store.order(orderId)))
  return orders.every((order) => order?.chain === 'closed')
}

function transactionWire(entry: OutboxEntry): unknown {
  const { kind, state, settlements, block } = entry
  return { kind, state, hash: hashOf(entry), block: block?.number ?? null, settlements }
}

function transactionLine(entry: OutboxEntry): string {
  return `${entry.state} ${hashOf(entry) ?? ''}: ${countOf(entry.settlements.length, 'order')}`
}

/** The form that was mined cannot be told from the others by number; the last one is the likeliest. */
function hashOf({ attempts }: OutboxEntry): Hex | null {
  return attempts.at(-1)?.hash ?? null
}

async function showPlan(
  context: CommandContext,
  { node, toClose }: { readonly node: WiredNode; readonly toClose: readonly Hex[] },
): Promise<ExitCode> {
  const nowMs = context.edge.clock()
  const moment = { nowMs, chainSeconds: Math.floor(nowMs / 1000) }
  const orders = await node.payments.store.orders({ live: true })
  const wished = orders.map((order): StoredOrder =>
    toClose.includes(order.orderId) ? { ...order, closing: 'requested' } : order,
  )
  const groups = groupsOf(
    wished.flatMap((order) => candidateOf(order, node.settlePolicy, moment) ?? []),
    node.settlePolicy,
  )
  print(context, {
    wire: toWire({ dryRun: true, transactions: groups.map(groupWire) }),
    lines: groups.length === 0 ? ['Nothing to settle.'] : groups.map(groupLine),
  })
  return EXIT.ok
}

function groupWire({ candidates }: Group): unknown {
  return {
    kind: 'settle',
    settlements: candidates.map(({ order, close, netFees }) => ({
      orderId: order.orderId,
      cumulativeFee: order.cumulativeFee,
      receiptCount: order.receiptCount,
      netFees,
      close: close ?? null,
    })),
  }
}

function groupLine({ candidates }: Group): string {
  const fees = candidates.reduce((sum, { netFees }) => sum + netFees, 0n)
  const closing = candidates.filter(({ close }) => close !== undefined).length
  return `Would settle ${countOf(candidates.length, 'order')}, ${String(closing)} of them for good, for ${formatOpg(fees)} OPG to the node.`
}
