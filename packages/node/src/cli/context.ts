import { createLogger, warnOfStrangers, type CliEdge, type Logger } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import { loadConfig, type NodeConfig } from '../config/loadConfig.js'
import { wireNode, type WiredNode } from './wire.js'

/** What every command starts from. */
export interface CommandContext {
  readonly edge: CliEdge
  readonly version: string
  /** Whether results are JSON. */
  readonly json: boolean
}

export interface OpenContext extends CommandContext {
  readonly config: NodeConfig
  readonly logger: Logger
}

/** Reads the configuration for a command. @throws {ConfigError} */
export async function configure(
  context: CommandContext,
  { needsModels }: { readonly needsModels: boolean },
): Promise<OpenContext> {
  const config = await loadConfig(context.edge.environment, { needsModels })
  const logger = createLogger(config.settings, context.edge.stderr)
  warnOfStrangers(config.strangers, logger)
  return { ...context, config, logger }
}

/** Opens the node for one short piece of work, beside a `serve` that may run, and closes it again. */
export async function withNode<T>(
  context: CommandContext,
  { signs, work }: { readonly signs: boolean; readonly work: (node: WiredNode, context: OpenContext) => Promise<T> },
): Promise<T> {
  const open = await configure(context, { needsModels: false })
  const modelIds: readonly Hex[] = []
  const node = await wireNode({ ...open, modelIds, signs })
  try {
    return await work(node, open)
  } finally {
    await node.payments.close()
  }
}
