import type { Baseline, TestFile } from './baseline.js'
import type { MutantAnswer } from './messages.js'
import type { Mutant } from './mutants.js'
import type { Sources } from '../solidity/sources.js'

/** What it costs to compile a contract, by the files it is made of, and to set up a chain for a test file. Estimates. */
const COMPILE_MS_PER_FILE = 60
const FIXTURE_MS = 300

interface Tally {
  kills: number
  runs: number
}

/** Which contracts and tests a mutant concerns; the tests that killed its neighbours, and the quick ones, first. */
export class Plan {
  readonly #byFile = new Map<string, Tally>()
  readonly #byScope = new Map<string, Tally>()

  constructor(
    private readonly sources: Sources,
    private readonly baseline: Baseline,
  ) {}

  /** Deployed contracts whose code holds the file, the one that has the least to compile first. */
  contractsFor(file: string): string[] {
    const size = (contract: string): number => this.#closure(contract).size
    return [...new Set(this.baseline.tests.flatMap(({ contracts }) => contracts))]
      .filter((contract) => this.#closure(contract).has(file))
      .sort((a, b) => size(a) - size(b))
  }

  /** Every test file that deploys one of them: no other could notice. */
  testsFor({ file, scope }: Pick<Mutant, 'file' | 'scope'>): string[] {
    const contracts = new Set(this.contractsFor(file))
    const compileMs = (deployed: readonly string[]): number =>
      deployed
        .filter((contract) => contracts.has(contract))
        .reduce((sum, contract) => sum + COMPILE_MS_PER_FILE * this.#closure(contract).size, 0)
    const worth = ({ test, contracts: deployed, durationMs }: TestFile): number => {
      const [inFile, inScope] = [
        this.#tally(this.#byFile, file, test),
        this.#tally(this.#byScope, `${file}#${scope}`, test),
      ]
      const before = (inFile.kills + 0.5) / (inFile.runs + 1)
      const likelihood = (inScope.kills + 2 * before) / (inScope.runs + 2)
      // A test that fails ends early, mostly at its start.
      return likelihood / (compileMs(deployed) + FIXTURE_MS + (1 - 0.8 * likelihood) * durationMs)
    }
    return this.baseline.tests
      .filter((test) => test.contracts.some((contract) => contracts.has(contract)))
      .map((file) => ({ test: file.test, worth: worth(file) }))
      .sort((a, b) => b.worth - a.worth)
      .map(({ test }) => test)
  }

  /** Longest that these tests may take together before a mutant counts as hanging. */
  timeoutFor(tests: readonly string[]): number {
    const durations = new Map(this.baseline.tests.map(({ test, durationMs }) => [test, durationMs]))
    return 300_000 + 10 * tests.reduce((sum, test) => sum + (durations.get(test) ?? 0), 0)
  }

  learn(
    { file, scope }: Pick<Mutant, 'file' | 'scope'>,
    { ran, verdict }: Pick<MutantAnswer, 'ran' | 'verdict'>,
  ): void {
    for (const [index, test] of ran.entries()) {
      const killed = verdict.status === 'killed' && index === ran.length - 1 ? 1 : 0
      for (const tally of [
        this.#tally(this.#byFile, file, test),
        this.#tally(this.#byScope, `${file}#${scope}`, test),
      ]) {
        tally.runs += 1
        tally.kills += killed
      }
    }
  }

  #closure(contract: string): ReadonlySet<string> {
    const file = this.sources.fileOf.get(contract)
    return file === undefined ? new Set() : this.sources.closureOf(file)
  }

  #tally(tallies: Map<string, Tally>, where: string, test: string): Tally {
    const key = `${where} ${test}`
    const known = tallies.get(key)
    if (known) return known
    const fresh = { kills: 0, runs: 0 }
    tallies.set(key, fresh)
    return fresh
  }
}
