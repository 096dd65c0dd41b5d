import { startDevnet } from '@opg/devnet'
import hardhat from 'hardhat'
import { readFileSync, writeFileSync } from 'node:fs'
import { measureRsaPss, type RsaPssGas } from './rsaPss.js'
import { type GasFigures, measureWorkloads } from './workloads.js'

const HELP = `Usage: npm run bench:gas -- [--json] [--check | --update]

Gas of whole transactions (receipt.gasUsed) on a fresh local prague chain, in the steady state: payees have credits,
payers' Permit2 nonce words are used, accounts hold OPG. Evidence by KeyReceiptVerifier (the escrow's own), refunds
included, and payout to the node wherever it is not said otherwise.

  --json     one JSON object as the last line
  --check    fail where a figure is more than 0.5 % above or below scripts/bench/snapshot.json
  --update   write that file anew
  --help     this text`

type Figures = GasFigures & RsaPssGas

const MEANING: Readonly<Record<keyof Figures, string>> = {
  w1Single: '1 payer, 1 node, 1 inference: open, settle, close, refund; node and network credited',
  w1SingleWithPayout: 'the same, with the payout to the node in the settling call',
  w1Batch100: 'the same, 100 orders of 100 payers opened and settled together, per inference',
  w2: '1 payer, 1 node, 1,000 inferences in one session, per inference',
  w3First: '100 payers, 10 inferences each: opened and settled, per inference',
  w3Later: 'the same later, with the money still in place, per inference',
  openBatch100: 'open in a batch of 100, per order',
  settleRow100: 'settle, close and refund in a batch of 100, per row',
  settleLaterRow100: 'settle without closing in a batch of 100, per row',
  w1SingleAllShares: 'w1Single, with royalty and facilitator credited too',
  w1Batch100AllShares: 'w1Batch100, with royalty and facilitator credited too',
  w4First: '1 payer, 50 nodes, 20 inferences each: open, allocate, settle all slices in one relayed call, payout, each',
  w4Later: 'the same later: allocate, settle, payout, with the money in place, per inference',
  w4Direct: 'the same later, each node settling its slice by itself, per inference',
  sliceRow50: 'settle a slice and pay its node, one of 50 in a call, per slice',
  allocate50: 'reserve 50 slices, by the facilitator: one transaction',
  rowOpen: 'one more order in a batch that opens',
  rowSettle: 'one more row in a batch that settles',
  rowClose: 'one more row in a batch that settles, closes and refunds',
  rowSlice: 'one more slice in a call that settles slices of one allocation',
  uptoSingleFresh: "open by a stock x402 upto payment alone, the payer's Permit2 nonce word fresh",
  uptoSingleUsed: 'the same, the nonce word used',
  uptoBatch50Fresh: 'the same in a batch of 50, of 50 payers, nonce words fresh, per order',
  uptoBatch50Used: 'the same, nonce words used, per order',
  uptoDesk: 'the desk of an offer, which its first order pays for, once',
  rsaPss2048Exec: 'one RSA-PSS 2048 verification, execution only, modulus cached',
  rsaPss2048ExecOsaka: 'the same on osaka rules',
}

const OPTIONS = ['--json', '--check', '--update', '--help']
const SNAPSHOT = new URL('snapshot.json', import.meta.url)
/** Signatures and addresses have more zero bytes in one run than in another. */
const TOLERANCE = 0.005

async function main(args: readonly string[]): Promise<void> {
  const unknown = args.find((arg) => !OPTIONS.includes(arg))
  if (unknown !== undefined) throw new TypeError(`Unknown option ${unknown}: expected one of ${OPTIONS.join(', ')}`)
  if (args.includes('--help')) {
    console.log(HELP)
    return
  }
  const figures = await measure()
  for (const [name, gas] of Object.entries(figures) as [keyof Figures, number][]) {
    console.log(`${name.padEnd(20)} ${gas.toLocaleString('en').padStart(9)}  ${MEANING[name]}`)
  }
  if (args.includes('--update')) writeFileSync(SNAPSHOT, `${JSON.stringify(figures, undefined, 2)}\n`)
  if (args.includes('--check')) check(figures)
  if (args.includes('--json')) console.log(JSON.stringify(figures))
}

async function measure(): Promise<Figures> {
  const devnet = await startDevnet()
  try {
    return { ...(await measureWorkloads(devnet)), ...(await measureRsaPss(hardhat.artifacts)) }
  } finally {
    await devnet.stop()
  }
}

/** A change of gas is to be seen in review, so it is to be written down. */
function check(figures: Figures): void {
  const snapshot = JSON.parse(readFileSync(SNAPSHOT, 'utf8')) as Partial<Record<string, number>>
  const changed = Object.entries(figures).filter(
    ([name, gas]) => Math.abs(gas - (snapshot[name] ?? 0)) > TOLERANCE * gas,
  )
  if (changed.length === 0) return
  const list = changed.map(([name, gas]) => `${name}: ${String(snapshot[name])} -> ${String(gas)}`)
  throw new RangeError(`Gas has changed. Run npm run bench:gas -- --update, and commit the file.\n${list.join('\n')}`)
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
