import { parseArgs } from 'node:util'
import { MutationRunError } from './errors.js'

export const HELP = `Usage: npm run test:mutation -- [options]

Breaks each guard and each arithmetic line of the contracts in turn, and runs the tests that could notice.
docs/MUTATION.md says how, and explains each mutant that survives.

  --only <text>     mutants of the file whose name contains the text, or with that id; may be given several times
  --tests <text>    only test files whose name contains the text; may be given several times. For a quick look:
                    what survives them may be killed by others
  --sample <n>      n mutants, drawn by the seed
  --seed <n>        seed of the sample (default 1)
  --resume          keep what cache/mutation holds of an earlier run on the same contracts; survivors run
                    again if a test changed
  --workers <n>     processes (default 2)
  --list            print the mutants and run none
  --write-docs      write the explained survivors into docs/MUTATION.md, and run none
  --json            one JSON object as the last line of stdout
  --help            this text

Exit code 1: less than 95 % killed, a survivor without an explanation in scripts/mutation/survivors.json, or, in a run
of all mutants, an explanation without its survivor. Progress goes to stderr.`

export interface Options {
  readonly only: readonly string[] | undefined
  readonly tests: readonly string[] | undefined
  readonly sample: number | undefined
  readonly seed: number
  readonly resume: boolean
  readonly workers: number
  readonly list: boolean
  readonly writeDocs: boolean
  readonly json: boolean
  readonly help: boolean
}

function count(name: string, text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) {
    throw new MutationRunError('OPTION_INVALID', `--${name} takes a whole number from 1 on, and got "${text}"`)
  }
  return Number(text)
}

/** @throws {MutationRunError} for what --help does not name */
export function parseOptions(args: readonly string[]): Options {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        only: { type: 'string', multiple: true },
        tests: { type: 'string', multiple: true },
        sample: { type: 'string' },
        seed: { type: 'string', default: '1' },
        resume: { type: 'boolean', default: false },
        workers: { type: 'string', default: '2' },
        list: { type: 'boolean', default: false },
        'write-docs': { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
    return {
      only: values.only,
      tests: values.tests,
      sample: values.sample === undefined ? undefined : count('sample', values.sample),
      seed: count('seed', values.seed),
      resume: values.resume,
      workers: count('workers', values.workers),
      list: values.list,
      writeDocs: values['write-docs'],
      json: values.json,
      help: values.help,
    }
  } catch (cause) {
    if (cause instanceof MutationRunError) throw cause
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new MutationRunError('OPTION_INVALID', `${reason}\n\n${HELP}`, { cause })
  }
}
