import { formatOpg } from '@opg/protocol'
import type { Bought } from './agents.js'
import type { Books } from './books.js'
import type { BoughtOverX402 } from './x402.js'

/** The demo could not go on; the message says why. */
export class DemoError extends Error {
  readonly code = 'DEMO_FAILED'
  override readonly name = 'DemoError'
}

export type DemoResult = Bought &
  BoughtOverX402 &
  Books & { readonly chainId: number; readonly orders: number; readonly seconds: number }

/** Says on stderr what happens now. */
export function progress(step: string): void {
  console.error(`· ${step}`)
}

/** The table on stdout; with `json` it goes to stderr, and the figures to stdout as one line. */
export function printReport(result: DemoResult, { json }: { readonly json: boolean }): void {
  const allInferences = result.inferences + result.stockPayments + result.sessionCalls
  const gasPerInference = Math.round(Number(result.gas) / allInferences)
  const rows: readonly (readonly [string, bigint])[] = [
    ['locked', result.locked],
    ['to the node', result.node],
    ['to the shop', result.shop],
    ['to the model owner', result.model],
    ['to the network', result.network],
    ['to the facilitator', result.facilitator],
    ['back to payers, by closing', result.refunded],
    ['back to payers, reclaimed', result.reclaimed],
    ['still open', result.open],
  ]
  const lines = [
    '',
    ...result.payers.map(({ payer, locked, back }, index) => {
      return line(
        `payer ${String(index + 1)} ${payer.slice(0, 10)}…`,
        `${opg(locked - back)} spent of ${opg(locked)} locked`,
      )
    }),
    '',
    ...rows.map(([name, amount]) => line(name, opg(amount))),
    '',
    'by work orders',
    line('  orders', String(result.orders)),
    line('  inferences', String(result.inferences)),
    line('  receipts verified', String(result.receiptsVerified)),
    'over x402',
    line('  paid by a stock client', `${String(result.stockPayments)}, an order each`),
    line('  given back: the shop failed', String(result.released)),
    line('  paid in sessions', String(result.sessionCalls)),
    line('  receipts verified', String(result.x402Receipts)),
    'both together',
    line('  inferences', String(allInferences)),
    line('  orders opened', String(result.opened)),
    line('  rows settled', String(result.settlements)),
    line(
      '  gas per inference',
      `${gasPerInference.toLocaleString('en')}, opening and closing such short orders included;`,
    ),
    line('', 'in a session of 1,000 it is 159: docs/GAS.md'),
    line('  seconds', String(result.seconds)),
  ]
  if (!json) console.log(lines.join('\n'))
  else console.error(lines.join('\n'))
  if (json) console.log(JSON.stringify(toJson(result, gasPerInference)))
}

function toJson(result: DemoResult, gasPerInference: number): object {
  const { chainId, orders, inferences, receiptsVerified, settlements, seconds } = result
  const { stockPayments, released, sessionCalls, x402Receipts } = result
  const { locked, node, shop, model, network, facilitator, refunded, reclaimed, open } = result
  const amounts = { locked, node, shop, model, network, facilitator, refunded, reclaimed, open }
  return {
    chainId,
    orders,
    inferences,
    receiptsVerified,
    settlements,
    x402: { stockPayments, released, sessionCalls, receiptsVerified: x402Receipts },
    ...Object.fromEntries(Object.entries(amounts).map(([name, amount]) => [name, amount.toString()])),
    gasPerInference,
    seconds,
  }
}

function opg(amount: bigint): string {
  return `${formatOpg(amount)} OPG`
}

function line(name: string, value: string): string {
  return `${name.padEnd(28)} ${value}`
}
