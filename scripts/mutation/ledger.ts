import { appendFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Verdict } from './messages.js'

/** What became of one mutant. */
export interface Result {
  readonly id: string
  /** Hash of the contracts that it concerns, before it was broken. */
  readonly code: string
  /** Hash of the tests. */
  readonly tests: string
  readonly verdict: Verdict
  readonly ran: readonly string[]
}

/** Results on disk, one line each, so that a run that is killed can go on. */
export class Ledger {
  readonly #results = new Map<string, Result>()

  constructor(
    private readonly path: string,
    options: { readonly resume: boolean },
  ) {
    mkdirSync(dirname(path), { recursive: true })
    if (!options.resume) rmSync(path, { force: true })
    if (!existsSync(path)) return
    for (const line of readFileSync(path, 'utf8').split('\n')) {
      const result = parse(line)
      if (result) this.#results.set(result.id, result)
    }
  }

  /** An earlier result that still holds: a survivor's only while the tests are the same. */
  find({ id, code, tests }: Pick<Result, 'id' | 'code' | 'tests'>): Result | undefined {
    const result = this.#results.get(id)
    if (result?.code !== code) return undefined
    return result.verdict.status === 'survived' && result.tests !== tests ? undefined : result
  }

  append(result: Result): void {
    this.#results.set(result.id, result)
    appendFileSync(this.path, `${JSON.stringify(result)}\n`)
  }
}

/** A run that was killed may have left half a line. */
function parse(line: string): Result | undefined {
  try {
    return JSON.parse(line) as Result
  } catch {
    return undefined
  }
}
