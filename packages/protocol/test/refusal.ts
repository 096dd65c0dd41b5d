import { inspect } from 'node:util'
import { InvalidInputError } from '../src/errors.js'

/** The error that `run` throws, which must be an `InvalidInputError`. */
export function refusalOf(run: () => unknown): InvalidInputError {
  try {
    run()
  } catch (error) {
    if (error instanceof InvalidInputError) return error
    throw error
  }
  throw new TypeError('expected a refusal, but the call went through')
}

/** Values as cases of `it.each`, each with a short title. */
export function titled(values: readonly unknown[]): readonly (readonly [string, unknown])[] {
  return values.map((value) => [inspect(value, { breakLength: Infinity }).slice(0, 40), value])
}
