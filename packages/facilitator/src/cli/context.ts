import { createLogger, warnOfStrangers, type CliEdge, type Logger } from '@opg/operator'
import { loadConfig, type FacilitatorConfig } from '../config/loadConfig.js'

/** What every command starts from. */
export interface CommandContext {
  readonly edge: CliEdge
  /** Whether results are JSON. */
  readonly json: boolean
}

export interface OpenContext extends CommandContext {
  readonly config: FacilitatorConfig
  readonly logger: Logger
}

/** Reads the configuration for a command. @throws {ConfigError} */
export async function configure(context: CommandContext): Promise<OpenContext> {
  const config = await loadConfig(context.edge.environment)
  const logger = createLogger(config.settings, context.edge.stderr)
  warnOfStrangers(config.strangers, logger)
  return { ...context, config, logger }
}
