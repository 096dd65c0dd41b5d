import type { Explanation } from './explanations.js'
import type { Result } from './ledger.js'
import type { Mutant } from './mutants.js'

/** Least share of mutants that must be killed. */
const REQUIRED_PERCENT = 95

export interface Counts {
  readonly killed: number
  readonly survived: number
  /** Compiled to the same code as the original. */
  readonly equivalent: number
  /** Did not compile. */
  readonly invalid: number
}

export interface Summary extends Counts {
  readonly passed: boolean
  /** Share of the killed in killed and survived. */
  readonly percent: number
  readonly minutes: number
  readonly files: Readonly<Record<string, Counts>>
  readonly survivors: readonly (Pick<Mutant, 'id' | 'file' | 'line' | 'scope' | 'operator' | 'before' | 'after'> & {
    readonly explained: boolean
  })[]
  /** Explanations of mutants that did not survive, or are no mutants any more. Only of a run of all mutants. */
  readonly stale: readonly string[]
}

export function summarize(
  mutants: readonly Mutant[],
  options: {
    readonly results: ReadonlyMap<string, Result>
    readonly explanations: readonly Explanation[]
    readonly isWhole: boolean
    readonly durationMs: number
  },
): Summary {
  const statusOf = ({ id }: Mutant): string | undefined => options.results.get(id)?.verdict.status
  const countsOf = (some: readonly Mutant[]): Counts => {
    const count = (status: string): number => some.filter((mutant) => statusOf(mutant) === status).length
    return {
      killed: count('killed'),
      survived: count('survived'),
      equivalent: count('equivalent'),
      invalid: count('invalid'),
    }
  }
  const explained = new Set(options.explanations.flatMap((explanation) => explanation.mutants.map(({ id }) => id)))
  const survivors = mutants
    .filter((mutant) => statusOf(mutant) === 'survived')
    .map(({ id, file, line, scope, operator, before, after }) => ({
      id,
      file,
      line,
      scope,
      operator,
      before,
      after,
      explained: explained.has(id),
    }))
  const alive = new Set(survivors.map(({ id }) => id))
  const stale = options.isWhole ? [...explained].filter((id) => !alive.has(id)) : []
  const total = countsOf(mutants)
  const percent = (100 * total.killed) / Math.max(1, total.killed + total.survived)
  const files = [...new Set(mutants.map(({ file }) => file))]
  return {
    ...total,
    passed: percent >= REQUIRED_PERCENT && survivors.every((survivor) => survivor.explained) && stale.length === 0,
    percent: Math.round(percent * 100) / 100,
    minutes: Math.round(options.durationMs / 6_000) / 10,
    files: Object.fromEntries(files.map((file) => [file, countsOf(mutants.filter((mutant) => mutant.file === file))])),
    survivors,
    stale,
  }
}

export function printReport(summary: Summary): void {
  const row = (name: string, counts: Counts): string => {
    const share = (100 * counts.killed) / Math.max(1, counts.killed + counts.survived)
    const cells = [counts.killed, counts.survived, counts.equivalent, counts.invalid].map((n) => String(n).padStart(10))
    return `${name.padEnd(44)}${cells.join('')}${`${share.toFixed(1)} %`.padStart(10)}`
  }
  const titles = ['killed', 'survived', 'equivalent', 'invalid', 'killed'].map((title) => title.padStart(10))
  console.log(`${''.padEnd(44)}${titles.join('')}`)
  for (const [file, counts] of Object.entries(summary.files)) console.log(row(file, counts))
  console.log(row('all', summary))

  for (const { id, file, line, scope, operator, before, after } of summary.survivors.filter((one) => !one.explained)) {
    console.log(`\nsurvived, not explained: ${id} ${file}:${String(line)} ${scope} (${operator})`)
    console.log(`    ${before}\n  → ${after}`)
  }
  for (const id of summary.stale) console.log(`\nexplained, but no survivor: ${id}`)
  console.log(`\n${String(summary.percent)} % killed in ${String(summary.minutes)} minutes`)
}
