import { admitting } from './facilitatorAdmit.js'
import { verifying } from './facilitatorVerify.js'

const HELP = `Usage: npm run bench:facilitator -- [--json]

Speed of one process on one core, against the stock @x402/evm upto facilitator, in the same run: both verify payments of
the same keys and nonces over a chain client that answers at once. Rounds of the two alternate, and medians are told, so
that noise of the machine cancels.

  --json     one JSON object as the last line
  --help     this text`

/** Bars that the figures must reach. */
const BARS = { verifyRatio: 8, admitRatio: 12 } as const

const ROUNDS = 15
const PER_ROUND = { ours: 800, stock: 100, admit: 1_500 } as const
/** Rounds that only warm the machine up. */
const WARM = 3
const HALF_LOAD_SECONDS = 4

const MEANING = {
  verifyPerSecond: 'payments that the facilitator verifies, payload and requirements to answer',
  stockVerifyPerSecond: 'the same by the stock facilitator',
  verifyRatio: 'of the two, the median of the rounds',
  admitPerSecond: 'requests of 500 agents that the node admits, header to durable reservation',
  admitRatio: 'of that and stockVerifyPerSecond, the median of the rounds',
  admitP99Ms: 'from arrival to admission at half that load, 99th percentile, in milliseconds',
} as const

type Figures = Readonly<Record<keyof typeof MEANING, number>>

async function main(args: readonly string[]): Promise<void> {
  const unknown = args.find((arg) => !['--json', '--help'].includes(arg))
  if (unknown !== undefined) throw new TypeError(`Unknown option ${unknown}: expected --json or --help`)
  if (args.includes('--help')) {
    console.log(HELP)
    return
  }
  const figures = await measure()
  for (const [name, value] of Object.entries(figures) as [keyof Figures, number][]) {
    console.log(`${name.padEnd(21)} ${value.toLocaleString('en').padStart(9)}  ${MEANING[name]}`)
  }
  const missed = Object.entries(BARS).filter(([name, bar]) => figures[name as keyof typeof BARS] < bar)
  for (const [name, bar] of missed) console.error(`${name} is below ${String(bar)}`)
  if (args.includes('--json')) console.log(JSON.stringify(figures))
  if (missed.length > 0) process.exitCode = 1
}

async function measure(): Promise<Figures> {
  const rounds = WARM + ROUNDS
  const { ours, stock } = verifying({ ours: rounds * PER_ROUND.ours, stock: rounds * PER_ROUND.stock })
  const sessions = await admitting()
  try {
    const measured = []
    for (let round = 0; round < rounds; round++) {
      const verify = await perSecond(PER_ROUND.ours, () => ours.run(PER_ROUND.ours))
      const stockVerify = await perSecond(PER_ROUND.stock, () => stock.run(PER_ROUND.stock))
      const prepared = sessions.prepare(PER_ROUND.admit)
      const admit = await perSecond(PER_ROUND.admit, () => prepared.admit())
      await prepared.end()
      if (round >= WARM) measured.push({ verify, stockVerify, admit })
    }
    const admitPerSecond = median(measured.map(({ admit }) => admit))
    return {
      verifyPerSecond: Math.round(median(measured.map(({ verify }) => verify))),
      stockVerifyPerSecond: Math.round(median(measured.map(({ stockVerify }) => stockVerify))),
      verifyRatio: rounded(median(measured.map(({ verify, stockVerify }) => verify / stockVerify))),
      admitPerSecond: Math.round(admitPerSecond),
      admitRatio: rounded(median(measured.map(({ admit, stockVerify }) => admit / stockVerify))),
      admitP99Ms: rounded(await sessions.p99Ms({ perSecond: admitPerSecond / 2, seconds: HALF_LOAD_SECONDS })),
    }
  } finally {
    await sessions.close()
  }
}

async function perSecond(count: number, run: () => Promise<void>): Promise<number> {
  const started = process.hrtime.bigint()
  await run()
  return (count * 1e9) / Number(process.hrtime.bigint() - started)
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? 0
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100
}

await main(process.argv.slice(2))
