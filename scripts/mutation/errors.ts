/** What stops a run, as against what a run finds. */
export class MutationRunError extends Error {
  constructor(
    readonly code: 'BASELINE_FAILED' | 'OPTION_INVALID' | 'WORKER_LOST' | 'EXPLANATIONS_INVALID',
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options)
    this.name = 'MutationRunError'
  }
}
