import { type Baseline, sourcesHash, testsHash } from './baseline.js'
import type { Ledger, Result } from './ledger.js'
import type { MutantAnswer } from './messages.js'
import { type Mutant, mutatedText } from './mutants.js'
import { Plan } from './plan.js'
import type { Sources } from '../solidity/sources.js'
import type { WorkerProcess } from './workerProcess.js'

export interface RunOptions {
  readonly root: string
  readonly sources: Sources
  readonly baseline: Baseline
  readonly workers: readonly WorkerProcess[]
  readonly ledger: Ledger
  readonly progress: (line: string) => void
}

/** Runs the mutants, those of one file after the other, and returns what became of each. */
export async function runMutants(mutants: readonly Mutant[], options: RunOptions): Promise<Map<string, Result>> {
  const { sources, ledger } = options
  const plan = new Plan(sources, options.baseline)
  const tests = testsHash(options.root)
  const results = new Map<string, Result>()
  const queue: { mutant: Mutant; code: string }[] = []
  for (const mutant of mutants) {
    const code = codeHash(mutant.file, { plan, sources })
    const known = ledger.find({ id: mutant.id, code, tests })
    if (known) {
      results.set(mutant.id, known)
      plan.learn(mutant, known)
    } else queue.push({ mutant, code })
  }
  if (results.size > 0) options.progress(`${String(results.size)} results kept, ${String(queue.length)} mutants to run`)

  await Promise.all(
    options.workers.map(async (worker) => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const { mutant, code } = next
        const { verdict, ran } = await ask(worker, mutant, { plan, sources })
        const result = { id: mutant.id, code, tests, verdict, ran }
        plan.learn(mutant, result)
        ledger.append(result)
        results.set(mutant.id, result)
        const count = `${String(results.size)}/${String(mutants.length)}`
        options.progress(
          `${count} ${verdict.status} ${mutant.file}:${String(mutant.line)} ${mutant.operator} ${mutant.id}`,
        )
      }
    }),
  )
  return results
}

/** Hash of everything that the mutants of a file are compiled from. */
function codeHash(file: string, { plan, sources }: { readonly plan: Plan; readonly sources: Sources }): string {
  const files = plan
    .contractsFor(file)
    .flatMap((contract) => [...sources.closureOf(sources.fileOf.get(contract) ?? '')])
  return sourcesHash(sources, new Set([file, ...files]))
}

async function ask(
  worker: WorkerProcess,
  mutant: Mutant,
  { plan, sources }: { readonly plan: Plan; readonly sources: Sources },
): Promise<Pick<MutantAnswer, 'verdict' | 'ran'>> {
  const tests = plan.testsFor(mutant)
  const job = {
    kind: 'mutant' as const,
    id: mutant.id,
    file: mutant.file,
    text: mutatedText(sources.text.get(mutant.file) ?? '', mutant),
    contracts: plan.contractsFor(mutant.file),
    tests,
  }
  // A process may also die of what came before this mutant: only the second death is this one's.
  for (let attempt = 1; ; attempt++) {
    const outcome = await worker.ask<MutantAnswer>(job, plan.timeoutFor(tests))
    if (outcome.status === 'answered') return outcome.answer
    if (outcome.status === 'timeout') return { verdict: { status: 'killed', by: 'no end in time' }, ran: [] }
    if (attempt > 1) return { verdict: { status: 'killed', by: 'the process died' }, ran: [] }
  }
}
