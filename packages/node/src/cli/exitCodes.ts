import { ChainUnavailableError, ConfigError, KeyUnusableError, WrongChainError } from '@opg/operator'
import { DeploymentUnknownError } from '@opg/bindings'
import { InvalidInputError } from '@opg/protocol'
import { CommanderError } from 'commander'
import { ModelLoadError } from '../compute/errors.js'
import { OrderNotReleasableError } from '../errors.js'

/** What the process ends with. */
export const EXIT = {
  ok: 0,
  /** The node itself failed: its database, or a bug. */
  failed: 1,
  /** Bad arguments or configuration. */
  usage: 2,
  /** The chain did not answer, or not in time. */
  unavailable: 3,
  /** Chain, contracts, books or orders are not as the command needs them. */
  refused: 4,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** The part of the manual about exit codes. */
export const EXIT_HELP = `
Exit codes: 0 done, 1 the node failed, 2 bad arguments or configuration, 3 the chain did not answer or not in time,
4 refused: chain, contracts, books or orders are not as the command needs them.`

/** A command cannot do what was asked. */
export class CommandRefusedError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.name = 'CommandRefusedError'
    this.code = code
  }
}

/** A command waited as long as it was told to. What it began goes on with the next one. */
export class WaitEndedError extends Error {
  readonly code = 'WAIT_ENDED'

  constructor(what: string) {
    super(`${what} is still on its way. Run the command again to follow it.`)
    this.name = 'WaitEndedError'
  }
}

export interface Failure {
  readonly exitCode: ExitCode
  readonly code: string
  readonly message: string
}

/** What an error means for the caller. Errors that are not meant for people show only their name (N8). */
export function failureOf(error: unknown): Failure {
  const exitCode = exitCodeOf(error)
  if (!(error instanceof Error)) return { exitCode, code: 'INTERNAL', message: 'Something failed that is no error.' }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'INTERNAL'
  const isOurs = exitCode !== EXIT.failed || code === 'STORE_FAILED'
  return { exitCode, code, message: isOurs ? error.message : `The node failed with ${error.name} (${code}).` }
}

function exitCodeOf(error: unknown): ExitCode {
  const isUsage =
    error instanceof ConfigError ||
    error instanceof InvalidInputError ||
    error instanceof KeyUnusableError ||
    error instanceof ModelLoadError ||
    error instanceof DeploymentUnknownError ||
    error instanceof CommanderError
  if (isUsage) return EXIT.usage
  if (error instanceof ChainUnavailableError || error instanceof WaitEndedError) return EXIT.unavailable
  const isRefused =
    error instanceof WrongChainError || error instanceof OrderNotReleasableError || error instanceof CommandRefusedError
  return isRefused ? EXIT.refused : EXIT.failed
}
