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
  const gasPerInference = Math.round(
    Number(result.gas) / (result.inferences + result.stockPayments + result.sessionCalls),
  )
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
    line('orders', String(result.orders)),
    line('inferences', String(result.inferences)),
    line('receipts verified', String(result.receiptsVerified)),
    line('paid by a stock x402 client', String(result.stockPayments)),
    line('  given back: the shop failed', String(result.released)),
    line('paid in x402 sessions', String(result.sessionCalls)),
    line('rows settled', String(result.settlements)),
    line('gas per inference, all in', gasPerInference.toLocaleString('en')),
    line('seconds', String(result.seconds)),
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
