import type { Logger } from '../edge.js'
import { ConfigError } from '../errors.js'
import { givenIn } from './privateKey.js'
import type { Environment } from './readSettings.js'

/** A variable with a program's prefix that the program does not read, and the one it reads that is nearest. */
export interface Stranger {
  readonly variable: string
  readonly nearest: string
}

/** Changes of a letter by which a name counts as misspelt; names that others chose are further away. */
const MISSPELT = 3

/**
 * Finds the variables that begin with `prefix` and that nobody reads. One that is a known name misspelt is refused. Others
 * are given back, to be warned of: orchestrators set such variables for services of this name.
 *
 * @throws {ConfigError} naming the known one
 */
export function findStrangers(
  environment: Environment,
  { prefix, known }: { readonly prefix: string; readonly known: readonly string[] },
): readonly Stranger[] {
  return Object.keys(environment).flatMap((variable) => {
    const isStrange = variable.startsWith(prefix) && givenIn(environment, variable) !== undefined
    if (!isStrange || known.includes(variable)) return []
    const [closest] = known
      .map((name) => ({ name, distance: distanceOf(variable, name) }))
      .sort((a, b) => a.distance - b.distance)
    if (closest === undefined) return []
    if (closest.distance <= MISSPELT) {
      throw new ConfigError(variable, `absent, as there is no such setting; the nearest is ${closest.name}`)
    }
    return [{ variable, nearest: closest.name }]
  })
}

/** A line of the log for each. */
export function warnOfStrangers(strangers: readonly Stranger[], logger: Logger): void {
  for (const { variable, nearest } of strangers) logger.warn({ variable, nearest }, 'a variable that nothing reads')
}

/** How many letters must be put in, taken out or exchanged to make one of the other. */
function distanceOf(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index)
  for (let line = 1; line <= one.length; line++) {
    const next = [line]
    for (let column = 1; column <= other.length; column++) {
      const [left = 0, above = 0, diagonal = 0] = [next[column - 1], row[column], row[column - 1]]
      next.push(Math.min(left + 1, above + 1, diagonal + (other[column - 1] === one[line - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[other.length] ?? 0
}
