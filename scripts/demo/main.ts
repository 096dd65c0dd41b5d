import { startDevnet } from '@opg/devnet'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buyInference } from './agents.js'
import { readBooks } from './books.js'
import { startFacilitator } from './facilitatorProcess.js'
import { startNode } from './nodeProcess.js'
import type { Program } from './program.js'
import { DemoError, printReport, progress, type DemoResult } from './report.js'
import { closeSessions, emptyWallet, openOrders, payOut, reclaimExpired } from './steps.js'
import { prepareWorld, type World } from './world.js'
import { startShop } from './shop.js'
import { type BoughtOverX402, buyOverX402 } from './x402.js'

const HELP = `Usage: npm run demo -- [--json]

From one signature to a paid node, on a local chain with everything real: Permit2 on its canonical address, a node
process with a TEE key and an ONNX model, and agents that buy inference from it over HTTP. Then over x402: a
facilitator process, a web shop on stock express, and an agent with the unmodified x402 client.

  --json   one JSON object as the last line; amounts are base units as decimal strings
  --help   this text`

/** The demo from the start to the books. */
async function run(directory: string): Promise<DemoResult> {
  const started = performance.now()
  progress('starting a local chain and deploying')
  const devnet = await startDevnet()
  try {
    const world = await prepareWorld(devnet, directory)
    const facilitator = await startFacilitator(world, directory)
    try {
      const node = await startNode(world, { directory, facilitatorUrl: facilitator.url })
      try {
        return await trade(world, { node, facilitatorUrl: facilitator.url, started })
      } finally {
        await node.stop()
      }
    } finally {
      await facilitator.stop()
    }
  } finally {
    await devnet.stop()
  }
}

/** What everybody does, and the books after it. */
async function trade(
  world: World,
  {
    node,
    facilitatorUrl,
    started,
  }: { readonly node: Program; readonly facilitatorUrl: string; readonly started: number },
): Promise<DemoResult> {
  const orders = await openOrders(world)
  await emptyWallet(world, orders)
  const bought = await buyInference(world, { orders, nodeUrl: node.url })
  const shop = await startShop(world, facilitatorUrl)
  let overX402: BoughtOverX402
  try {
    overX402 = await buyOverX402(world, { nodeUrl: node.url, shopUrl: shop.url })
  } finally {
    await shop.stop()
  }
  await closeSessions(world, { orders, nodeUrl: node.url })
  await payOut(world, node)
  await reclaimExpired(world, orders)
  const books = await readBooks(world)
  const seconds = Math.round((performance.now() - started) / 100) / 10
  return { chainId: world.devnet.chainId, orders: orders.length, ...bought, ...overX402, ...books, seconds }
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    console.log(HELP)
    return
  }
  const unknown = args.find((arg) => arg !== '--json')
  if (unknown !== undefined) throw new DemoError(`Unknown option ${unknown}: expected --json or --help`)
  const directory = await mkdtemp(join(tmpdir(), 'opg-demo-'))
  try {
    printReport(await run(directory), { json: args.includes('--json') })
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? `demo: ${error.message}` : error)
  process.exitCode = 1
})
