import { type Agreement, agreements, encodings } from './agreement.js'
import { readSource } from './compile.js'
import { ProveError } from './errors.js'
import { type SelfCheck, selfCheck } from './selfCheck.js'
import { prove, targets, type Result } from './targets.js'
import { z3Version } from './z3.js'

const HELP = `Usage: npm run prove -- [--json]

Proves the accounting of the escrow for all inputs: that it stays solvent (E1), never releases more than was signed (E4)
and loses nothing (E7). docs/PROOFS.md says what is proved, over which code, and what is assumed. Then breaks the code in
memory, one passage at a time, and checks that a proof fails each time. Needs z3 (apt-get install z3).

  --json   one JSON object as the last line
  --help   this text

Exit code 0 if every target that docs/PROOFS.md names is proved and every break is noticed, else 1.`

async function run(json: boolean): Promise<boolean> {
  console.log(`solver: ${z3Version()}`)
  const started = performance.now()

  const readings: Agreement[] = []
  for (const reading of encodings()) readings.push(reading)
  for await (const reading of agreements()) readings.push(reading)
  for (const { name, agrees, detail } of readings) {
    if (!agrees) console.log(`DIFFERS      from the EVM on ${name}: ${detail}`)
  }
  const agreed = readings.filter((reading) => reading.agrees).length
  console.log(`agrees       with the EVM on ${String(agreed)} of ${String(readings.length)} exercises`)

  const documented = documentedTargets()
  const tried = targets().map(({ name }) => name)
  for (const name of documented.filter((each) => !tried.includes(each))) console.log(`MISSING      ${name}`)
  for (const name of tried.filter((each) => !documented.includes(each))) console.log(`UNDOCUMENTED ${name}`)

  const results: Result[] = []
  for (const result of prove()) {
    console.log(`${result.verdict.padEnd(11)}  ${result.name} (${result.guarantees}): ${result.says}`)
    results.push(result)
  }
  const checks: SelfCheck[] = []
  for (const check of selfCheck()) {
    console.log(`${check.noticed ? 'noticed    ' : 'NOT NOTICED'}  ${check.name}: ${check.target}`)
    checks.push(check)
  }

  const proved = results.filter((result) => result.verdict === 'proved').map(({ name }) => name)
  const noticed = checks.filter((check) => check.noticed).length
  const seconds = Math.round((performance.now() - started) / 1000)
  console.log(
    `${String(proved.length)} of ${String(documented.length)} targets proved, ${String(noticed)} of ${String(checks.length)} breaks noticed, in ${String(seconds)} s`,
  )
  if (json) {
    const counts = { proved: proved.length, expected: documented.length, noticed, breaks: checks.length }
    console.log(JSON.stringify({ ...counts, targets: results, readings, checks }))
  }
  return same(documented, tried) && same(documented, proved) && agreed === readings.length && noticed === checks.length
}

/** What docs/PROOFS.md says is proved: a target that vanishes from the code is missed here. */
function documentedTargets(): readonly string[] {
  const text = readSource('docs/PROOFS.md')
  return [...text.matchAll(/^\| `([^`]+)` \|/gm)].map(([, name = '']) => name)
}

function same(a: readonly string[], b: readonly string[]): boolean {
  return [...a].sort().join() === [...b].sort().join()
}

try {
  const args = process.argv.slice(2)
  if (args.includes('--help')) {
    console.log(HELP)
  } else {
    const other = args.find((arg) => arg !== '--json')
    if (other !== undefined) throw new ProveError(`Unknown option ${other}: expected --json or --help`)
    if (!(await run(args.includes('--json')))) process.exitCode = 1
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
