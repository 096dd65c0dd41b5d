import { EXIT, countOf, gasMoneyLine, print, type ExitCode } from '@opg/operator'
import { formatOpg, toWire } from '@opg/protocol'
import type { NodeStatus, OrderStatus } from '../service/status.js'
import { withNode, type CommandContext } from './context.js'

/** `opg-node status`: orders, fees and credits. Works while `serve` runs. */
export async function statusCommand(context: CommandContext): Promise<ExitCode> {
  const { status, balance } = await withNode(context, {
    signs: false,
    work: async ({ payments, provider }) => ({
      status: await payments.status(),
      balance: await provider.getBalance(payments.node).catch(() => undefined),
    }),
  })
  print(context, { wire: wireOf(status, balance), lines: linesOf(status, balance) })
  return status.credits === undefined ? EXIT.unavailable : EXIT.ok
}

function wireOf(status: NodeStatus, balance: bigint | undefined): unknown {
  const orders = status.orders.map((order) => ({
    ...order,
    closing: order.closing ?? null,
    blocked: order.blocked ?? null,
  }))
  return toWire({ ...status, orders, credits: status.credits ?? null, balance: balance ?? null })
}

function linesOf(status: NodeStatus, balance: bigint | undefined): readonly string[] {
  const { node, escrow, chainId, orders, totals, credits, pendingTransactions } = status
  return [
    `Node ${node}, escrow ${escrow}, chain ${chainId.toString()}`,
    `Orders ${String(totals.orders)} (${String(totals.open)} open), receipts ${totals.receipts.toString()}, transactions on their way ${String(pendingTransactions)}`,
    `Fees ${formatOpg(totals.cumulativeFee)} OPG, of them settled ${formatOpg(totals.released)}, unsettled ${formatOpg(totals.unsettled)}; reserved ${formatOpg(totals.reserved)}`,
    `To claim ${credits === undefined ? 'unknown, as the chain does not answer' : `${formatOpg(credits)} OPG`}`,
    gasMoneyLine(balance),
    ...orders.map(lineOf),
  ]
}

function lineOf(order: OrderStatus): string {
  const { orderId, chain, amount, cumulativeFee, unsettled, receipts, claimBy, closing, blocked } = order
  const notes = [
    closing === undefined ? '' : `, closing (${closing})`,
    blocked === undefined ? '' : `, passed over by the escrow (${blocked})`,
  ]
  return `${orderId} ${chain}: ${formatOpg(cumulativeFee)} of ${formatOpg(amount)} OPG in ${countOf(receipts, 'receipt')}, unsettled ${formatOpg(unsettled)}, claim by ${String(claimBy)}${notes.join('')}`
}
