import { startDevnet } from '@opg/devnet'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { buyInference } from './agents.js'
import { readBooks } from './books.js'
import { startNode } from './nodeProcess.js'
import { DemoError, printReport, progress, type DemoResult } from './report.js'
import { closeSessions, emptyWallet, openOrders, payOut, reclaimExpired } from './steps.js'
import { prepareWorld } from './world.js'

const HELP = `Usage: npm run demo -- [--json]

From one signature to a paid node, on a local chain with everything real: Permit2 on its canonical address, a node
process with a TEE key and an ONNX model, and agents that buy inference from it over HTTP.

  --json   one JSON object as the last line; amounts are base units as decimal strings
  --help   this text`

/** The demo from the start to the books. */
async function run(directory: string): Promise<DemoResult> {
  const started = performance.now()
  progress('starting a local chain and deploying')
  const devnet = await startDevnet()
  try {
    const world = await prepareWorld(devnet, directory)
    const node = await startNode(world, directory)
    try {
      const orders = await openOrders(world)
      await emptyWallet(world, orders)
      const bought = await buyInference(world, { orders, nodeUrl: node.url })
      await closeSessions(world, { orders, nodeUrl: node.url })
      await payOut(world, node)
      await reclaimExpired(world, orders)
      const books = await readBooks(world)
      const seconds = Math.round((performance.now() - started) / 100) / 10
      return { chainId: devnet.chainId, orders: orders.length, ...bought, ...books, seconds }
    } finally {
      await node.stop()
    }
  } finally {
    await devnet.stop()
  }
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
