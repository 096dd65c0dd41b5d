/** What the run and its worker processes say to each other. */

/** Runs test files against a mutant, in this order, until one fails. */
export interface MutantJob {
  readonly kind: 'mutant'
  readonly id: string
  readonly file: string
  /** The file with the mutant in it. */
  readonly text: string
  /** Contracts whose code may change, the one that compiles fastest first. */
  readonly contracts: readonly string[]
  readonly tests: readonly string[]
}

/** Runs one test file against the contracts as they are. */
export interface BaselineJob {
  readonly kind: 'baseline'
  readonly test: string
}

export type Job = MutantJob | BaselineJob

export type Verdict =
  /** `by` is the test that failed, or what else gave the mutant away. */
  | { readonly status: 'killed'; readonly by: string }
  | { readonly status: 'survived' }
  /** Does not compile, so it is no mutant. */
  | { readonly status: 'invalid' }
  /** Compiles to the very same code, so nothing could tell. */
  | { readonly status: 'equivalent' }

export interface MutantAnswer {
  readonly kind: 'mutant'
  readonly verdict: Verdict
  /** The test files that ran; the last one failed if the mutant was killed. */
  readonly ran: readonly string[]
}

export interface BaselineAnswer {
  readonly kind: 'baseline'
  readonly passed: number
  /** Title of a test that failed, and why. */
  readonly failure?: string
  /** Contracts of the project that the file deployed. */
  readonly contracts: readonly string[]
  readonly durationMs: number
}

/** The job could not be done, for a reason that is not the mutant's: a test file that does not load, for one. */
export interface FailedAnswer {
  readonly kind: 'failed'
  readonly reason: string
}

export type Answer = MutantAnswer | BaselineAnswer
