import { InvalidInputError } from '@opg/protocol'
import { describe, expect, it } from 'vitest'
import {
  ChainUnavailableError,
  CommandRefusedError,
  ConfigError,
  EXIT,
  exitHelp,
  failureOf,
  KeyUnusableError,
  StoreError,
  WaitEndedError,
  WrongChainError,
} from '../../src/index.js'

class OwnUsageError extends Error {
  readonly code = 'OWN_USAGE'
}
class OwnRefusal extends Error {
  readonly code = 'OWN_REFUSAL'
}
const PROGRAM = { name: 'node', usage: [OwnUsageError], refused: [OwnRefusal] }
const SECRET = 'of a key'

describe('failureOf', () => {
  it.each<[Error, number]>([
    [new ConfigError('OPG_X', 'set'), 2],
    [new InvalidInputError({ field: 'x', expected: 'y', value: 1 }), 2],
    [new KeyUnusableError('OPG_KEY', 'a key'), 2],
    [new OwnUsageError('use it so'), 2],
    [new ChainUnavailableError('eth_call'), 3],
    [new WaitEndedError('The settlement'), 3],
    [new WrongChainError('The chain', { expected: '1', found: '2' }), 4],
    [new CommandRefusedError('BUSY', 'Another process does it.'), 4],
    [new OwnRefusal('not now'), 4],
    [new StoreError('opening'), 1],
  ])('%s ends a process with %i, and is shown as it is', (error, exitCode) => {
    const code = (error as Error & { readonly code: string }).code
    expect(failureOf(error, PROGRAM)).toEqual({ exitCode, code, message: error.message })
  })

  it('shows of what it does not know a name and a code, and no message', () => {
    const failure = failureOf(Object.assign(new RangeError(SECRET), { code: 'ERR_X' }), PROGRAM)
    expect(failure).toEqual({ exitCode: 1, code: 'ERR_X', message: 'The node failed with RangeError (ERR_X).' })
    expect(failureOf(new RangeError(SECRET), PROGRAM).code).toBe('INTERNAL')
  })

  it('shows nothing of what is no error', () => {
    expect(failureOf(SECRET, PROGRAM)).toMatchObject({ exitCode: 1, code: 'INTERNAL' })
    expect(failureOf(SECRET, PROGRAM).message).not.toContain(SECRET)
  })
})

describe('the manual', () => {
  it('names every exit code', () => {
    for (const code of Object.values(EXIT)) expect(exitHelp('node')).toMatch(new RegExp(`\\b${String(code)}\\b`))
  })
})
