import { findStrangers, readSettings, type Environment, type Stranger } from '@opg/operator'
import { resolve } from 'node:path'
import { KEY_VARIABLES, readKeys, type NodeKeys } from './keys.js'
import { SETTINGS, type Settings } from './settings.js'

export interface NodeConfig {
  readonly settings: Settings
  readonly keys: NodeKeys
  /** Variables that nothing reads: to be warned of. */
  readonly strangers: readonly Stranger[]
}

/** Names the configuration file. */
export const CONFIG_VARIABLE = 'OPG_NODE_CONFIG'

/**
 * Reads the configuration: environment variables, and a JSON file (`OPG_NODE_CONFIG`) for what they do not set.
 * Keys come from the environment or from files of their own, never from this file.
 *
 * @param needsModels only `serve` needs `models`
 * @throws {ConfigError} naming the variable, or the file's member
 */
export async function loadConfig(
  environment: Environment,
  { needsModels }: { readonly needsModels: boolean },
): Promise<NodeConfig> {
  const variables = Object.values(SETTINGS).map(({ variable }) => variable)
  const known = [CONFIG_VARIABLE, ...Object.keys(KEY_VARIABLES), ...variables]
  const strangers = findStrangers(environment, { prefix: 'OPG_NODE_', known })
  const settings = await readSettings(SETTINGS, {
    environment,
    configVariable: CONFIG_VARIABLE,
    ...(needsModels ? {} : { defaults: { models: [] } }),
    resolvePaths: (name, value, folder) => (name === 'models' ? modelsIn(folder, value as Settings['models']) : value),
  })
  const upstreamKeys = settings.models.flatMap((model) => (model.kind === 'openai' ? [model.apiKeyEnv] : []))
  return {
    settings,
    keys: await readKeys(environment),
    strangers: strangers.filter(({ variable }) => !upstreamKeys.includes(variable)),
  }
}

function modelsIn(folder: string, models: Settings['models']): Settings['models'] {
  return models.map((model) => (model.kind === 'onnx' ? { ...model, file: resolve(folder, model.file) } : model))
}
