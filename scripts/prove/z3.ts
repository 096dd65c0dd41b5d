import { spawnSync } from 'node:child_process'
import { ProveError } from './errors.js'

export type Answer = 'sat' | 'unsat' | 'unknown'

const COMMAND = 'z3'

/** What z3 printed. A query that takes longer than `seconds` is unknown. */
export function askZ3(query: string, seconds: number, options: readonly string[] = []): string {
  const run = spawnSync(COMMAND, ['-smt2', '-in', `-T:${String(seconds)}`, ...options], {
    input: query,
    encoding: 'utf8',
    maxBuffer: 1 << 30,
  })
  if (run.error !== undefined) throw new ProveError(`z3 did not run: ${run.error.message}`)
  return run.stdout
}

/** Whether the formula of an SMT-LIB script can be true. An answer that is no answer counts as unknown. */
export function decide(query: string, seconds: number): Answer {
  const output = askZ3(query, seconds)
  const [first] = output.split('\n')
  if (output.includes('(error')) throw new ProveError(`z3 refused a query: ${output.slice(0, 400)}`)
  return first === 'sat' || first === 'unsat' ? first : 'unknown'
}

/** Version of the z3 that is installed. @throws {ProveError} that says how to install it */
export function z3Version(): string {
  const run = spawnSync(COMMAND, ['--version'], { encoding: 'utf8' })
  if (run.error !== undefined || run.status !== 0) {
    throw new ProveError(
      'z3 is the solver behind these proofs, and there is none on the PATH. Install it: apt-get install z3',
    )
  }
  return run.stdout.trim()
}
