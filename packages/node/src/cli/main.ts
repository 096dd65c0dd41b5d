import { EXIT, settingsHelp, type CliEdge, type ExitCode } from '@opg/operator'
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { KEY_VARIABLES } from '../config/keys.js'
import { CONFIG_VARIABLE } from '../config/loadConfig.js'
import { SETTINGS } from '../config/settings.js'
import { claimCommand } from './claim.js'
import type { CommandContext } from './context.js'
import { EXIT_HELP, nodeFailureOf } from './exitCodes.js'
import { releaseCommand } from './release.js'
import { serveCommand } from './serve.js'
import { settleCommand } from './settle.js'
import { statusCommand } from './status.js'

const DEFAULT_WAIT_SECONDS = 120
const HELP = settingsHelp({ keys: KEY_VARIABLES, configVariable: CONFIG_VARIABLE, settings: SETTINGS })

interface JsonOption {
  readonly json: boolean
}

/** Runs `opg-node` with these arguments. Never throws: what goes wrong is told on stderr and by the exit code. */
export async function runCli(
  args: readonly string[],
  { edge, version }: { readonly edge: CliEdge; readonly version: string },
): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok
  const run =
    (command: (context: CommandContext) => Promise<ExitCode>) =>
    async ({ json }: JsonOption): Promise<void> => {
      exitCode = await command({ edge, version, json })
    }
  const program = describe({ edge, version, run })
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    // Commander has said it already, and help is no failure.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    const { code, message, ...failure } = nodeFailureOf(error)
    edge.stderr(
      args.includes('--json') ? `${JSON.stringify({ error: { code, message } })}\n` : `opg-node: ${message}\n`,
    )
    return failure.exitCode
  }
}

function describe(input: {
  readonly edge: CliEdge
  readonly version: string
  readonly run: (command: (context: CommandContext) => Promise<ExitCode>) => (options: JsonOption) => Promise<void>
}): Command {
  const { edge, version, run } = input
  const program = new Command('opg-node')
    .description('Sells AI inference against orders locked in an escrow: serves, settles and claims.')
    .version(version)
    .configureOutput({ writeOut: edge.stdout, writeErr: edge.stderr })
    .exitOverride()
    .addHelpText('after', `${HELP}\n${EXIT_HELP}`)
  const add = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--json', 'results as JSON on stdout, one object a line', false)
      .addHelpText('after', `${EXIT_HELP}\nSettings come from the environment: see opg-node --help.`)
  const wait = (command: Command): Command =>
    command.option('--wait-seconds <seconds>', 'how long to wait until it is booked', readSeconds, DEFAULT_WAIT_SECONDS)

  add('serve', 'Serve paid inference over HTTP and settle in the background, until SIGTERM or SIGINT.').action(
    run(serveCommand),
  )
  add('status', 'Show orders, unsettled fees and credits. Works while serve runs.').action(run(statusCommand))
  wait(add('settle', 'Settle all receipts now, and wait until that is booked.'))
    .option('--dry-run', 'only show what would be settled', false)
    .option(
      '--close <orderId>',
      'take no more requests for this order, settle it, and return the rest; may be repeated',
      collect,
      [],
    )
    .action((options: JsonOption & { dryRun: boolean; close: string[]; waitSeconds: number }) =>
      run((context) => settleCommand(context, options))(options),
    )
  wait(add('claim', "Pay the node's credit out to its address, and wait until that is booked.")).action(
    (options: JsonOption & { waitSeconds: number }) => run((context) => claimCommand(context, options))(options),
  )
  wait(add('release', 'Give an order, or a slice, back for nothing, and wait until that is booked.'))
    .argument('<orderId>', "id of the order; of a slice, the slice's")
    .option('--forgo-fees', 'also where fees of it are not settled: they are lost', false)
    .action((orderId: string, options: JsonOption & { forgoFees: boolean; waitSeconds: number }) =>
      run((context) => releaseCommand(context, { orderId, args: options }))(options),
    )
  return program
}

function readSeconds(text: string): number {
  if (!/^[1-9][0-9]{0,4}$/.test(text))
    throw new InvalidArgumentError('It must be a whole number of seconds from 1 to 99999.')
  return Number(text)
}

function collect(value: string, all: readonly string[]): string[] {
  return [...all, value]
}
