import type { Mutant } from './mutants.js'
import type { Options } from './options.js'

/** mulberry32: small, and the same everywhere. */
function randomFrom(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The mutants that a run is about, in the order of the source. */
export function select(mutants: readonly Mutant[], options: Pick<Options, 'only' | 'sample' | 'seed'>): Mutant[] {
  const { only } = options
  const wanted = mutants.filter(({ file, id }) => !only || only.some((text) => file.includes(text) || id === text))
  if (options.sample === undefined) return wanted
  const random = randomFrom(options.seed)
  const drawn = new Set(
    wanted
      .map((mutant) => ({ mutant, rank: random() }))
      .sort((a, b) => a.rank - b.rank)
      .slice(0, options.sample)
      .map(({ mutant }) => mutant),
  )
  return wanted.filter((mutant) => drawn.has(mutant))
}
