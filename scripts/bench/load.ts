import { startDevnet } from '@opg/devnet'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { startFacilitator } from '../demo/facilitatorProcess.js'
import { startNode } from '../demo/nodeProcess.js'
import { startProgram } from '../demo/program.js'
import { prepareWorld } from '../demo/world.js'
import { type Agent, createAgents, run, type Traffic } from './load/agents.js'
import { readMoney, type Money } from './load/money.js'

const HELP = `Usage: npm run bench:load -- [--json] [--agents 500] [--seconds 60] [--rate 40]

Agents with money of their own buy inference from a node process over loopback HTTP (x402, scheme work-order), whose
orders a facilitator process opens on a chain process. Each agent asks in turn the bare handler, which is the same model
with nothing to pay, and the node: the difference of their latencies is what being paid costs. Then all orders are
closed, and what the chain paid is compared with what the receipts say.

  --agents <n>    how many (default 500)
  --seconds <n>   how long they buy, after each has opened its order (default 60)
  --rate <n>      paid requests a second that all of them together try to send (default 40)
  --json          one JSON object as the last line
  --help          this text

unpaid: orders that were paid less than their receipts say. doublePaid: orders that were paid more. Exit code 1 if either
is not 0, or if any call failed.`

const BARE = fileURLToPath(new URL('load/bare.ts', import.meta.url))

interface Figures {
  readonly agents: number
  readonly requests: number
  readonly requestsPerSecond: number
  readonly bareP50Ms: number
  readonly bareP99Ms: number
  readonly overheadP50Ms: number
  readonly overheadP99Ms: number
  readonly failures: number
  readonly unpaid: number
  readonly doublePaid: number
}

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
      agents: { type: 'string', default: '500' },
      seconds: { type: 'string', default: '60' },
      rate: { type: 'string', default: '40' },
    },
  })
  if (values.help) {
    console.log(HELP)
    return
  }
  const load = {
    agents: positive('agents', values.agents),
    seconds: positive('seconds', values.seconds),
    rate: positive('rate', values.rate),
  }
  const directory = await mkdtemp(join(tmpdir(), 'opg-load-'))
  try {
    const figures = await measure(load, directory)
    for (const [name, value] of Object.entries(figures)) console.log(`${name.padEnd(20)} ${String(value).padStart(10)}`)
    if (values.json) console.log(JSON.stringify(figures))
    if (figures.unpaid + figures.doublePaid + figures.failures > 0) process.exitCode = 1
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

interface Load {
  readonly agents: number
  readonly seconds: number
  readonly rate: number
}

async function measure(load: Load, directory: string): Promise<Figures> {
  const ends: (() => Promise<void>)[] = []
  try {
    const devnet = await startDevnet()
    ends.push(() => devnet.stop())
    const world = await prepareWorld(devnet, directory)
    const facilitator = await startFacilitator(world, directory)
    ends.push(() => facilitator.stop())
    const node = await startNode(world, { directory, facilitatorUrl: facilitator.url })
    ends.push(() => node.stop())
    const bare = await startProgram(BARE, { ...process.env })
    ends.push(() => bare.stop())

    say(`giving ${String(load.agents)} agents OPG; they approve Permit2`)
    const agents = await createAgents(devnet, load.agents)
    const target = { nodeUrl: node.url, bareUrl: bare.url, rate: load.rate }
    say('each agent opens its order with its first call')
    const warmUp = await run(agents, { ...target, seconds: load.agents / load.rate })
    say(`buying for ${String(load.seconds)} s`)
    const traffic = await run(agents, { ...target, seconds: load.seconds })
    say('closing all orders')
    await closeAll(agents)
    const money = await readMoney(devnet, [warmUp.billed, traffic.billed])
    return figuresOf(load, { warmUp, traffic, money })
  } finally {
    for (const end of ends.reverse()) await end()
  }
}

async function closeAll(agents: readonly Agent[]): Promise<void> {
  const queue = agents.values()
  const worker = async (): Promise<void> => {
    for (const { pay } of queue) await pay.close()
  }
  await Promise.all(Array.from({ length: 20 }, worker))
}

function figuresOf(
  load: Load,
  { warmUp, traffic, money }: { readonly warmUp: Traffic; readonly traffic: Traffic; readonly money: Money },
): Figures {
  const failures = [...warmUp.failures, ...traffic.failures]
  for (const [reason, times] of failures) say(`${String(times)} calls failed: ${reason}`)
  const requests = traffic.paidMs.length
  const overhead = (part: number): number =>
    rounded(percentile(traffic.paidMs, part) - percentile(traffic.bareMs, part))
  return {
    agents: load.agents,
    requests,
    requestsPerSecond: rounded(requests / load.seconds),
    bareP50Ms: rounded(percentile(traffic.bareMs, 0.5)),
    bareP99Ms: rounded(percentile(traffic.bareMs, 0.99)),
    overheadP50Ms: overhead(0.5),
    overheadP99Ms: overhead(0.99),
    failures: failures.reduce((sum, [, times]) => sum + times, 0),
    ...money,
  }
}

function percentile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0
}

function rounded(value: number): number {
  return Math.round(value * 10) / 10
}

function positive(name: string, text: string): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 1)
    throw new TypeError(`--${name} takes a whole number from 1 on, not ${text}`)
  return value
}

function say(text: string): void {
  console.error(`· ${text}`)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
