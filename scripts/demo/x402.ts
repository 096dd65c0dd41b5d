import { readReceipt } from './x402Receipts.js'
import { payFetch } from '@opg/x402'
import { UptoEvmScheme } from '@x402/evm/upto/client'
import { wrapFetchWithPayment, x402Client } from '@x402/fetch'
import type { Wallet } from 'ethers'
import { setTimeout as sleep } from 'node:timers/promises'
import { DemoError, progress } from './report.js'
import { inferBody } from './sentences.js'
import type { World } from './world.js'

const STOCK_CALLS = 4
const SESSION_CALLS = 25
const AT_ONCE = 8
const PATIENCE_MS = 60_000
const TEXT = 'money that is locked before the work begins cannot be gone when it ends'

/** What was bought over x402. */
export interface BoughtOverX402 {
  /** Requests that an unmodified client paid for, one signature each. */
  readonly stockPayments: number
  /** Payments that were given back, since the seller failed. */
  readonly released: number
  /** Requests that `payFetch` made in sessions, each session with one signature of money. */
  readonly sessionCalls: number
  readonly x402Receipts: number
}

/** Where agents buy over x402. */
export interface Market {
  readonly nodeUrl: string
  readonly shopUrl: string
}

/** Agents with a stock client, and with ours, buy from the node and from a shop that runs stock express. */
export async function buyOverX402(world: World, market: Market): Promise<BoughtOverX402> {
  const stock = await buyWithStockClient(world, market)
  const session = await buyInSessions(world, market)
  await allClosed(world)
  return { ...stock, ...session, x402Receipts: stock.receipts + session.sessionCalls }
}

async function buyWithStockClient(world: World, { nodeUrl, shopUrl }: Market) {
  const pay = stockFetch(world, world.x402Payer)
  let receipts = 0
  let stockPayments = 0
  const buy = async (url: string, init: RequestInit): Promise<void> => {
    const response = await pay(url, { method: 'POST', ...init })
    const body = await response.text()
    if (!response.ok) throw new DemoError(`${url} answered ${String(response.status)}: ${body}`)
    readReceipt(response, { body })
    stockPayments += 1
    receipts += 1
  }
  for (let index = 0; index < STOCK_CALLS; index++) {
    const headers = { 'content-type': 'application/json' }
    await buy(`${nodeUrl}/v1/infer`, { body: Buffer.from(inferBody(index)), headers })
    await buy(`${shopUrl}/words`, { body: TEXT, headers: { 'content-type': 'text/plain' } })
  }
  progress(`an unmodified x402 client paid for ${String(stockPayments)} requests, each locked before the work`)
  const failed = await pay(`${shopUrl}/words`, { method: 'POST', body: ' ', headers: { 'content-type': 'text/plain' } })
  if (failed.status !== 500) throw new DemoError(`The shop should have failed, and said ${String(failed.status)}`)
  progress('the shop failed once: that payment goes back whole')
  return { stockPayments, receipts, released: 1 }
}

async function buyInSessions(world: World, { nodeUrl }: Market): Promise<{ readonly sessionCalls: number }> {
  const { devnet, x402Payer } = world
  const pay = payFetch(x402Payer, {
    rpcUrl: devnet.rpcUrl,
    escrow: devnet.deployment.escrow,
    maxPerDay: '5',
    sessionAmount: '0.5',
  })
  let sessionCalls = 0
  const queue = Array.from({ length: SESSION_CALLS }, (_, index) => index).values()
  const worker = async (): Promise<void> => {
    for (const index of queue) {
      const response = await pay(`${nodeUrl}/v1/infer`, {
        method: 'POST',
        body: Buffer.from(inferBody(index)),
        headers: { 'content-type': 'application/json' },
      })
      if (!response.ok) throw new DemoError(`The node answered ${String(response.status)}: ${await response.text()}`)
      sessionCalls += 1
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  progress(`payFetch made ${String(sessionCalls)} calls in one session`)
  await pay.close()
  return { sessionCalls }
}

function stockFetch({ devnet }: World, payer: Wallet): typeof fetch {
  const network = `eip155:${String(devnet.chainId)}` as const
  const client = new UptoEvmScheme({
    address: payer.address as `0x${string}`,
    signTypedData: async ({ domain, types, message }) => {
      const { EIP712Domain: _, ...rest } = types as Record<string, { name: string; type: string }[]>
      return (await payer.signTypedData(domain, rest, message)) as `0x${string}`
    },
  })
  const allowedAssets = [{ network, asset: devnet.deployment.token }]
  const spendControls = { allowedAssets }
  return wrapFetchWithPayment(fetch, x402Client.fromConfig({ schemes: [{ network, client }], spendControls }))
}

/** Every order of the agents ends, with no hand of theirs. */
async function allClosed({ devnet, x402Payer }: World): Promise<void> {
  const { escrow } = devnet.contracts
  const opened = await escrow.queryFilter(escrow.filters.OrderOpened(undefined, x402Payer.address), 0)
  const deadline = performance.now() + PATIENCE_MS
  for (const { args } of opened) {
    while (!(await escrow.orders(args.orderId)).closed) {
      if (performance.now() > deadline) throw new DemoError(`Order ${args.orderId} was not closed in time`)
      await sleep(100)
    }
  }
  progress(`all ${String(opened.length)} of their orders are settled or given back`)
}
