import hre from 'hardhat'
import { join } from 'node:path'
import { ChangedArtifacts, ChangeInvalidError } from '../solidity/artifacts.js'
import { SourceInvalidError } from '../solidity/errors.js'
import type { Answer, BaselineAnswer, BaselineJob, FailedAnswer, Job, MutantAnswer, MutantJob } from './messages.js'
import { loadSources } from '../solidity/sources.js'
import { Suites } from '../solidity/suites.js'

/** A process that loads Hardhat, the compiler and the tests once, and then answers one job after the other. */
const root = hre.config.paths.root
const [compiler] = hre.config.solidity.compilers
if (!compiler) throw new SourceInvalidError('hardhat.config.ts names no compiler')
const sources = loadSources(root)
const artifacts = new ChangedArtifacts(hre.artifacts, sources, compiler.settings as Readonly<Record<string, unknown>>)
const suites = new Suites(hre.network.provider, { bail: true })

async function baseline({ test }: BaselineJob): Promise<BaselineAnswer> {
  artifacts.set(new Map())
  artifacts.takeAsked()
  const started = performance.now()
  const { passed, failure } = await suites.run(join(root, test))
  return {
    kind: 'baseline',
    passed,
    contracts: artifacts.takeAsked(),
    durationMs: Math.round(performance.now() - started),
    ...(failure && { failure: `${failure.title}: ${failure.reason}` }),
  }
}

async function mutant(job: MutantJob): Promise<MutantAnswer> {
  artifacts.set(new Map([[job.file, job.text]]))
  const ran: string[] = []
  const answer = (verdict: MutantAnswer['verdict']): MutantAnswer => ({ kind: 'mutant', verdict, ran })
  try {
    // The quickest contract to compile decides in most cases; only if it stays as it was, the others are compiled too.
    if (job.contracts.every((contract) => artifacts.isUnchanged(contract))) return answer({ status: 'equivalent' })
    for (const test of job.tests) {
      ran.push(test)
      const { failure } = await suites.run(join(root, test))
      if (failure?.reason.startsWith(ChangeInvalidError.prefix)) return answer({ status: 'invalid' })
      if (failure) return answer({ status: 'killed', by: failure.title })
    }
    return answer({ status: 'survived' })
  } catch (error) {
    if (error instanceof ChangeInvalidError) return answer({ status: 'invalid' })
    throw error
  } finally {
    artifacts.set(new Map())
  }
}

process.on('message', (job: Job) => {
  const work: Promise<Answer> = job.kind === 'baseline' ? baseline(job) : mutant(job)
  work.then(
    (answer) => process.send?.(answer),
    (error: unknown) => {
      const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
      process.send?.({ kind: 'failed', reason } satisfies FailedAnswer)
    },
  )
})
process.send?.('ready')
