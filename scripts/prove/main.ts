import { ProveError } from './errors.js'
import { selfCheck } from './selfCheck.js'
import { prove, targets, type Result } from './targets.js'
import { z3Version } from './z3.js'

const HELP = `Usage: npm run prove -- [--json]

Proves the accounting of the escrow for all inputs: that it stays solvent (E1), never releases more than was signed (E4)
and loses nothing (E7). docs/PROOFS.md says what is proved, over which code, and what is assumed. Then breaks the code in
memory, one passage at a time, and checks that a proof fails each time. Needs z3 (apt-get install z3).

  --json   one JSON object as the last line
  --help   this text

Exit code 0 if every target is proved and every break is noticed, else 1.`

function run(json: boolean): boolean {
  console.log(`solver: ${z3Version()}`)
  const started = performance.now()

  const results: Result[] = []
  for (const result of prove()) {
    console.log(`${result.verdict.padEnd(11)}  ${result.name} (${result.guarantees}): ${result.says}`)
    results.push(result)
  }
  const checks = []
  for (const check of selfCheck()) {
    console.log(`${check.noticed ? 'noticed' : 'NOT NOTICED'}  ${check.name}: ${check.target}`)
    checks.push(check)
  }

  const proved = results.filter((result) => result.verdict === 'proved').length
  const expected = targets().length
  const noticed = checks.filter((check) => check.noticed).length
  const seconds = Math.round((performance.now() - started) / 1000)
  const done = proved === expected && noticed === checks.length && checks.length > 0
  console.log(
    `${String(proved)} of ${String(expected)} targets proved, ${String(noticed)} of ${String(checks.length)} breaks noticed, in ${String(seconds)} s`,
  )
  if (json) console.log(JSON.stringify({ proved, expected, noticed, breaks: checks.length, targets: results, checks }))
  return done
}

try {
  const args = process.argv.slice(2)
  if (args.includes('--help')) {
    console.log(HELP)
  } else {
    const other = args.find((arg) => arg !== '--json')
    if (other !== undefined) throw new ProveError(`Unknown option ${other}: expected --json or --help`)
    if (!run(args.includes('--json'))) process.exitCode = 1
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
}
