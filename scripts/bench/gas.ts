import { startDevnet } from '@opg/devnet'
import hardhat from 'hardhat'
import { type GasFigures, measureWorkloads } from './workloads.js'
import { measureRsaPss } from './rsaPss.js'

const HELP = `Usage: npm run bench:gas -- [--json]

Gas of whole transactions (receipt.gasUsed) on a fresh local prague chain, in the steady state: payees have claimed
before, payers' Permit2 nonce words are used, accounts hold OPG. Evidence by KeyReceiptVerifier, payout to the node and
refunds included.

  --json   one JSON object as the last line
  --help   this text`

const MEANING: Readonly<Record<keyof GasFigures, string>> = {
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
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--help')) {
    console.log(HELP)
    return
  }
  const unknown = args.find((arg) => arg !== '--json')
  if (unknown !== undefined) throw new TypeError(`Unknown option ${unknown}: expected --json or --help`)

  const devnet = await startDevnet()
  try {
    const figures = await measureWorkloads(devnet)
    const rsa = await measureRsaPss(hardhat.artifacts)
    for (const [name, gas] of Object.entries(figures) as [keyof GasFigures, number][]) {
      console.log(`${name.padEnd(20)} ${gas.toLocaleString('en').padStart(9)}  ${MEANING[name]}`)
    }
    const rsaMeaning = 'one RSA-PSS 2048 verification, execution only, modulus cached'
    console.log(`${'rsaPss2048Exec'.padEnd(20)} ${rsa.rsaPss2048Exec.toLocaleString('en').padStart(9)}  ${rsaMeaning}`)
    console.log(
      `${'rsaPss2048ExecOsaka'.padEnd(20)} ${rsa.rsaPss2048ExecOsaka.toLocaleString('en').padStart(9)}  the same on osaka rules`,
    )
    if (args.includes('--json')) console.log(JSON.stringify({ ...figures, ...rsa }))
  } finally {
    await devnet.stop()
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
