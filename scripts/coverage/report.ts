import type { Instrumented, Mark } from './instrument.js'

export interface Reached {
  readonly reached: number
  readonly total: number
}

export interface FileCoverage {
  readonly statements: Reached
  readonly yul: Reached
  readonly branches: Reached
  readonly lines: Reached
}

export interface Gap {
  readonly file: string
  readonly line: number
  readonly kind: Mark['kind']
  readonly text: string
  /** docs/COVERAGE.md names file and text in one line. */
  readonly explained: boolean
}

export interface CoverageSummary {
  readonly passed: boolean
  readonly files: Readonly<Record<string, FileCoverage>>
  readonly gaps: readonly Gap[]
  readonly failures: readonly string[]
}

export function summarizeCoverage(
  files: ReadonlyMap<string, Instrumented>,
  options: {
    readonly reached: ReadonlySet<bigint>
    readonly documented: string
    readonly failures: readonly string[]
  },
): CoverageSummary {
  const isReached = ({ value }: Mark): boolean => options.reached.has(value)
  const count = (marks: readonly Mark[]): Reached => ({ reached: marks.filter(isReached).length, total: marks.length })
  const documented = options.documented.split('\n')
  const coverageOf = ({ marks }: Instrumented): FileCoverage => {
    const code = marks.filter(({ kind }) => kind !== 'branch')
    const lines = new Set(code.map(({ line }) => line))
    const missed = new Set(code.filter((mark) => !isReached(mark)).map(({ line }) => line))
    return {
      statements: count(marks.filter(({ kind }) => kind === 'statement')),
      yul: count(marks.filter(({ kind }) => kind === 'yul')),
      branches: count(marks.filter(({ kind }) => kind === 'branch')),
      lines: { reached: lines.size - missed.size, total: lines.size },
    }
  }
  const gaps = [...files].flatMap(([file, { marks }]) =>
    marks
      .filter((mark) => !isReached(mark))
      .map(({ line, kind, text }) => {
        const explained = documented.some((row) => row.includes(file) && row.includes(`\`${text}\``))
        return { file, line, kind, text, explained }
      }),
  )
  return {
    passed: options.failures.length === 0 && gaps.every(({ explained }) => explained),
    files: Object.fromEntries([...files].map(([file, instrumented]) => [file, coverageOf(instrumented)])),
    gaps,
    failures: options.failures,
  }
}

export function printCoverage({ files, gaps, failures }: CoverageSummary): void {
  const cell = ({ reached, total }: Reached): string => `${String(reached)}/${String(total)}`.padStart(12)
  const row = (name: string, { statements, yul, branches, lines }: FileCoverage): string =>
    `${name.padEnd(44)}${cell(statements)}${cell(yul)}${cell(branches)}${cell(lines)}`
  const titles = ['statements', 'yul', 'branches', 'lines'].map((title) => title.padStart(12))
  console.log(`${''.padEnd(44)}${titles.join('')}`)
  for (const [file, coverage] of Object.entries(files)) console.log(row(file, coverage))
  for (const { file, line, kind, text, explained } of gaps) {
    console.log(`\n${explained ? 'explained' : 'NOT EXPLAINED'}: ${file}:${String(line)} ${kind}\n    ${text}`)
  }
  for (const failure of failures) console.log(`\nfailed: ${failure}`)
}
