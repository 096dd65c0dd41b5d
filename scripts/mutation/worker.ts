import hre from 'hardhat'
import { join } from 'node:path'
import { ChangedArtifacts, ChangeInvalidError, type Settings } from '../solidity/artifacts.js'
import { SourceInvalidError } from '../solidity/errors.js'
import type {
  Answer,
  BaselineAnswer,
  BaselineJob,
  FailedAnswer,
  Job,
  MutantAnswer,
  MutantJob,
  Verdict,
} from './messages.js'
import { CODE_LIMIT, allowLongCode } from '../solidity/network.js'
import { loadSources } from '../solidity/sources.js'
import { Suites } from '../solidity/suites.js'
import { OWN_CHAIN } from '../solidity/tests.js'
import { quickSettings } from './quickSettings.js'

/** A process that loads Hardhat, the compiler and the tests once, and then answers one job after the other. */
const root = hre.config.paths.root
const [compiler] = hre.config.solidity.compilers
if (!compiler) throw new SourceInvalidError('hardhat.config.ts names no compiler')
const shipped = compiler.settings as Settings
const quick = quickSettings(shipped)
const sources = loadSources(root)
const artifacts = new ChangedArtifacts(hre.artifacts, sources)
const suites = new Suites(hre.network.provider, { bail: true })
allowLongCode(hre.config) // it is longer where less is optimized

async function baseline({ test }: BaselineJob): Promise<BaselineAnswer> {
  artifacts.set(new Map(), OWN_CHAIN.has(test) ? shipped : quick)
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
  const changes = new Map([[job.file, job.text]])
  const ran: string[] = []
  const answer = (verdict: Verdict): MutantAnswer => ({ kind: 'mutant', verdict, ran })
  const isEquivalent = (): boolean => job.contracts.every((contract) => artifacts.isUnchanged(contract))
  const runUntilKilled = async (tests: readonly string[]): Promise<Verdict | undefined> => {
    for (const test of tests) {
      ran.push(test)
      const { failure } = await suites.run(join(root, test))
      if (failure?.reason.startsWith(ChangeInvalidError.prefix)) return { status: 'invalid' }
      if (failure) return { status: 'killed', by: failure.title }
    }
    return undefined
  }
  try {
    artifacts.set(changes, quick)
    // The quickest contract to compile decides in most cases; only if it stays as it was, the others are compiled too.
    if (isEquivalent()) return answer({ status: 'equivalent' })
    const killed = await runUntilKilled(job.tests.filter((test) => !OWN_CHAIN.has(test)))
    if (killed) return answer(killed)

    artifacts.set(changes, shipped)
    if (isEquivalent()) return answer({ status: 'equivalent' })
    // Code that outgrew the limit would be refused for that, which says nothing about the tests.
    const fits = job.contracts.every((contract) => artifacts.lengthOf(contract) <= CODE_LIMIT)
    const rest = fits ? job.tests.filter((test) => OWN_CHAIN.has(test)) : []
    return answer((await runUntilKilled(rest)) ?? { status: 'survived' })
  } catch (error) {
    if (error instanceof ChangeInvalidError) return answer({ status: 'invalid' })
    throw error
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
