/** Something that keeps a proof from being tried: a missing tool, or code in a form that the prover does not know. */
export class ProveError extends Error {
  readonly code = 'PROVE'
  override readonly name = 'ProveError'
}
