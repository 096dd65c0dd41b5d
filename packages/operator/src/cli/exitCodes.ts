import { DeploymentUnknownError } from '@opg/bindings'
import { InvalidInputError } from '@opg/protocol'
import { ChainUnavailableError, ConfigError, KeyUnusableError, WrongChainError } from '../errors.js'

/** What a process ends with. */
export const EXIT = {
  ok: 0,
  /** The program itself failed: its database, or a bug. */
  failed: 1,
  /** Bad arguments or configuration. */
  usage: 2,
  /** The chain did not answer, or not in time. */
  unavailable: 3,
  /** Chain, contracts, books or orders are not as the command needs them. */
  refused: 4,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

/** The part of a manual about exit codes. `program`: `node`, `facilitator`. */
export function exitHelp(program: string): string {
  return `
Exit codes: 0 done, 1 the ${program} failed, 2 bad arguments or configuration, 3 the chain did not answer or not in time,
4 refused: chain, contracts, books or orders are not as the command needs them.`
}

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

type ErrorClass = abstract new (...args: never[]) => Error

const USAGE: readonly ErrorClass[] = [ConfigError, InvalidInputError, KeyUnusableError, DeploymentUnknownError]
const UNAVAILABLE: readonly ErrorClass[] = [ChainUnavailableError, WaitEndedError]
const REFUSED: readonly ErrorClass[] = [WrongChainError, CommandRefusedError]

/**
 * What an error means for the caller. Errors that are not meant for people show only their name (N8).
 *
 * @param program `usage` and `refused`: errors of its own that are meant for people
 */
export function failureOf(
  error: unknown,
  program: { readonly name: string; readonly usage: readonly ErrorClass[]; readonly refused: readonly ErrorClass[] },
): Failure {
  const isOneOf = (classes: readonly ErrorClass[]): boolean => classes.some((one) => error instanceof one)
  const exitCode = isOneOf([...USAGE, ...program.usage])
    ? EXIT.usage
    : isOneOf(UNAVAILABLE)
      ? EXIT.unavailable
      : isOneOf([...REFUSED, ...program.refused])
        ? EXIT.refused
        : EXIT.failed
  if (!(error instanceof Error)) return { exitCode, code: 'INTERNAL', message: 'Something failed that is no error.' }
  const code = 'code' in error && typeof error.code === 'string' ? error.code : 'INTERNAL'
  const isOurs = exitCode !== EXIT.failed || code === 'STORE_FAILED'
  return {
    exitCode,
    code,
    message: isOurs ? error.message : `The ${program.name} failed with ${error.name} (${code}).`,
  }
}
