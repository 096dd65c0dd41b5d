import hre from 'hardhat'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { ChangedArtifacts, type Settings } from '../solidity/artifacts.js'
import { SourceInvalidError } from '../solidity/errors.js'
import { loadSources, targetsAmong } from '../solidity/sources.js'
import { Suites } from '../solidity/suites.js'
import { OWN_CHAIN, testFiles } from '../solidity/tests.js'
import { type Instrumented, instrument } from './instrument.js'
import { allowLongCode } from '../solidity/network.js'
import { printCoverage, summarizeCoverage } from './report.js'
import { onPush8 } from './steps.js'

const HELP = `Usage: npm run coverage -- [--only <text>] [--json]

Statements, Yul statements, branches and functions of the contracts that the contract tests reach.
docs/COVERAGE.md explains each gap.

  --only <text>   run the test files whose name contains the text
  --json          one JSON object as the last line of stdout
  --help          this text

Ends when everything but the explained gaps is reached.
Exit code 1: a test failed, or a gap is not in docs/COVERAGE.md. Progress goes to stderr.`

/** Test files that take long when every step is looked at, since they burn gas or try many inputs: last, if at all. */
const SLOW = /attacks|model|RsaPss/

async function run(options: { readonly only: string; readonly json: boolean }): Promise<boolean> {
  const root = hre.config.paths.root
  const sources = loadSources(root)
  const files = new Map<string, Instrumented>()
  for (const file of targetsAmong(sources.ast.keys())) {
    const [ast, text] = [sources.ast.get(file), sources.text.get(file)]
    if (ast && text !== undefined) files.set(file, instrument(file, Buffer.from(text), ast))
  }
  const [compiler] = hre.config.solidity.compilers
  if (!compiler) throw new SourceInvalidError('hardhat.config.ts names no compiler')
  new ChangedArtifacts(hre.artifacts, sources).set(
    new Map([...files].map(([file, { text }]) => [file, text])),
    compiler.settings as Settings,
  )

  allowLongCode(hre.config) // marks make it longer
  const wanted = new Set([...files.values()].flatMap(({ marks }) => marks.map(({ value }) => value)))
  const reached = new Set<bigint>()
  const suites = new Suites(hre.network.provider, { bail: false })
  await onPush8(hre.network.provider, (value) => {
    if (wanted.has(value)) reached.add(value)
  })

  const documented = readFileSync(join(root, 'docs/COVERAGE.md'), 'utf8')
  const failures: string[] = []
  const tests = testFiles(root).filter((name) => name.includes(options.only) && !OWN_CHAIN.has(name))
  let summary = summarizeCoverage(files, { reached, documented, failures })
  for (const test of tests.sort((a, b) => Number(SLOW.test(a)) - Number(SLOW.test(b)))) {
    const { passed, failure } = await suites.run(join(root, test))
    process.stderr.write(`${test}: ${String(passed)} passed, ${String(reached.size)} of ${String(wanted.size)} marks\n`)
    if (failure) failures.push(`${test}: ${failure.title}: ${failure.reason}`)
    summary = summarizeCoverage(files, { reached, documented, failures })
    // There is nothing left to find: what the remaining files check, the ordinary run of them tells.
    if (summary.passed) break
  }
  printCoverage(summary)
  if (options.json) console.log(JSON.stringify(summary))
  return summary.passed
}

async function main(args: readonly string[]): Promise<void> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: 'string', default: '' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) console.log(HELP)
  else if (!(await run(values))) process.exitCode = 1
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
