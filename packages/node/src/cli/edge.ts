import type { Clock, RandomBytes, Sleep } from '@opg/operator'
import type { Environment } from '../config/loadConfig.js'

/** All that a command has of the world. */
export interface CliEdge {
  readonly environment: Environment
  /** Results. */
  readonly stdout: (text: string) => void
  /** Diagnostics. */
  readonly stderr: (text: string) => void
  /** Calls `stop` when the process is asked to end, each time; gives back how to stop listening. */
  readonly onStop: (stop: () => void) => () => void
  readonly clock: Clock
  readonly random: RandomBytes
  readonly sleep: Sleep
  readonly fetch: typeof fetch
}
