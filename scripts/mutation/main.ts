import { resolve } from 'node:path'
import { measureBaseline } from './baseline.js'
import { checkDocs, readExplanations, writeDocs } from './explanations.js'
import { Ledger } from './ledger.js'
import { allMutants } from './mutants.js'
import { HELP, type Options, parseOptions } from './options.js'
import { printReport, summarize } from './report.js'
import { runMutants } from './run.js'
import { select } from './select.js'
import { loadSources } from '../solidity/sources.js'
import { WorkerProcess } from './workerProcess.js'

const ROOT = resolve(import.meta.dirname, '../..')
const CACHE = resolve(ROOT, 'cache/mutation')

function progress(line: string): void {
  process.stderr.write(`${line}\n`)
}

async function run(options: Options): Promise<boolean> {
  const sources = loadSources(ROOT)
  const all = allMutants(sources)
  const mutants = select(all, options)
  if (options.list) {
    for (const { id, file, line, scope, operator, before, after } of mutants) {
      console.log(`${id} ${file}:${String(line)} ${scope} ${operator}\n    ${before}\n  → ${after}`)
    }
    progress(`${String(mutants.length)} mutants`)
    return true
  }
  const explanations = readExplanations(ROOT)
  if (options.writeDocs) {
    writeDocs(ROOT, explanations)
    return true
  }
  checkDocs(ROOT, explanations)

  const workers = Array.from({ length: options.workers }, () => new WorkerProcess())
  try {
    const started = performance.now()
    const baseline = await measureBaseline(ROOT, {
      sources,
      workers,
      tests: options.tests,
      cache: resolve(CACHE, 'baseline.json'),
    })
    const ledger = new Ledger(resolve(CACHE, options.tests ? 'quick.jsonl' : 'results.jsonl'), options)
    const results = await runMutants(mutants, { root: ROOT, sources, baseline, workers, ledger, progress })
    const isWhole = mutants.length === all.length && !options.tests
    const summary = summarize(mutants, { results, explanations, isWhole, durationMs: performance.now() - started })
    printReport(summary)
    if (options.json) console.log(JSON.stringify(summary))
    return summary.passed
  } finally {
    for (const worker of workers) worker.stop()
  }
}

async function main(args: readonly string[]): Promise<void> {
  const options = parseOptions(args)
  if (options.help) console.log(HELP)
  else if (!(await run(options))) process.exitCode = 1
}

main(process.argv.slice(2)).catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 1
})
