import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { MutationRunError } from './errors.js'
import { hashOf } from './mutants.js'
import type { BaselineAnswer } from './messages.js'
import { testFiles } from '../solidity/tests.js'
import type { Sources } from '../solidity/sources.js'
import type { WorkerProcess } from './workerProcess.js'

/** What a test file does when nothing is broken. */
export interface TestFile {
  readonly test: string
  readonly contracts: readonly string[]
  readonly durationMs: number
}

export interface Baseline {
  readonly fingerprint: string
  readonly tests: readonly TestFile[]
}

const BASELINE_TIMEOUT_MS = 10 * 60_000

/** Hash of everything in `test/`. */
export function testsHash(root: string): string {
  const hash = createHash('sha256')
  for (const path of readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' }).sort()) {
    if (/\.(ts|json)$/.test(path)) hash.update(path).update(readFileSync(join(root, 'test', path)))
  }
  return hash.digest('hex').slice(0, 16)
}

export function sourcesHash(sources: Sources, files: Iterable<string>): string {
  const hash = createHash('sha256')
  for (const file of [...files].sort()) hash.update(file).update(sources.text.get(file) ?? '')
  return hash.digest('hex').slice(0, 16)
}

/** Runs every test file once by itself: all must pass, and what each deploys says which mutants it could notice. */
export async function measureBaseline(
  root: string,
  options: {
    readonly sources: Sources
    readonly workers: readonly WorkerProcess[]
    readonly tests: readonly string[] | undefined
    readonly cache: string
  },
): Promise<Baseline> {
  const { sources, workers, cache } = options
  const wanted = testFiles(root).filter((test) => options.tests?.some((text) => test.includes(text)) ?? true)
  const fingerprint = `${hashOf(wanted.join())}-${testsHash(root)}-${sourcesHash(sources, sources.text.keys())}`
  if (existsSync(cache)) {
    const known = JSON.parse(readFileSync(cache, 'utf8')) as Baseline
    if (known.fingerprint === fingerprint) return known
  }
  const tests: TestFile[] = []
  const queue = [...wanted]
  const failures: string[] = []
  await Promise.all(
    workers.map(async (worker) => {
      for (let test = queue.shift(); test !== undefined; test = queue.shift()) {
        const outcome = await worker.ask<BaselineAnswer>({ kind: 'baseline', test }, BASELINE_TIMEOUT_MS)
        if (outcome.status !== 'answered') {
          failures.push(`${test}: ${outcome.status}`)
          continue
        }
        const { failure, passed, contracts, durationMs } = outcome.answer
        if (failure !== undefined || passed === 0) failures.push(`${test}: ${failure ?? 'no test in it ran'}`)
        tests.push({ test, contracts, durationMs })
      }
    }),
  )
  if (failures.length > 0) {
    throw new MutationRunError('BASELINE_FAILED', `Tests fail on unbroken contracts:\n${failures.join('\n')}`)
  }
  const baseline = { fingerprint, tests: tests.sort((a, b) => a.durationMs - b.durationMs) }
  mkdirSync(dirname(cache), { recursive: true })
  writeFileSync(cache, JSON.stringify(baseline))
  return baseline
}
