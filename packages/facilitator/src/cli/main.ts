import { EXIT, exitHelp, failureOf, settingsHelp, type CliEdge, type ExitCode } from '@opg/operator'
import { Command, CommanderError } from 'commander'
import { CONFIG_VARIABLE, KEY_VARIABLES, SETTINGS } from '../config/settings.js'
import type { CommandContext } from './context.js'
import { serveCommand } from './serve.js'
import { statusCommand } from './status.js'

const EXIT_HELP = exitHelp('facilitator')

/** Runs `opg-facilitator` with these arguments. Never throws: what goes wrong is told on stderr and by the exit code. */
export async function runCli(
  args: readonly string[],
  { edge, version }: { readonly edge: CliEdge; readonly version: string },
): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.ok
  const program = new Command('opg-facilitator')
    .description('Checks x402 payments, locks their money in an escrow before compute, and captures it by evidence.')
    .version(version)
    .configureOutput({ writeOut: edge.stdout, writeErr: edge.stderr })
    .exitOverride()
    .addHelpText(
      'after',
      `${settingsHelp({ keys: KEY_VARIABLES, configVariable: CONFIG_VARIABLE, settings: SETTINGS })}\n${EXIT_HELP}`,
    )
  const add = (name: string, description: string, run: (context: CommandContext) => Promise<ExitCode>): void => {
    program
      .command(name)
      .description(description)
      .option('--json', 'results as JSON on stdout, one object a line', false)
      .addHelpText('after', `${EXIT_HELP}\nSettings come from the environment: see opg-facilitator --help.`)
      .action(async ({ json }: { readonly json: boolean }) => {
        exitCode = await run({ edge, json })
      })
  }
  add('serve', 'Answer x402 over HTTP, open and capture in batches, until SIGTERM or SIGINT.', serveCommand)
  add('status', 'Show what is under way, and the gas money. Works while serve runs.', statusCommand)
  try {
    await program.parseAsync(args, { from: 'user' })
    return exitCode
  } catch (error) {
    // Commander has said it already, and help is no failure.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage
    const { code, message, ...failure } = failureOf(error, { name: 'facilitator', usage: [], refused: [] })
    edge.stderr(
      args.includes('--json') ? `${JSON.stringify({ error: { code, message } })}\n` : `opg-facilitator: ${message}\n`,
    )
    return failure.exitCode
  }
}
