import { exitHelp, failureOf, type Failure } from '@opg/operator'
import { CommanderError } from 'commander'
import { ModelLoadError } from '../compute/errors.js'
import { OrderNotReleasableError } from '../errors.js'

/** The part of the manual about exit codes. */
export const EXIT_HELP = exitHelp('node')

/** What an error of a command means for its caller. */
export function nodeFailureOf(error: unknown): Failure {
  return failureOf(error, {
    name: 'node',
    usage: [CommanderError, ModelLoadError],
    refused: [OrderNotReleasableError],
  })
}
