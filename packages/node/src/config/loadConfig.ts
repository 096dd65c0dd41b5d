import { readSettings, type Environment } from '@opg/operator'
import { resolve } from 'node:path'
import { readKeys, type NodeKeys } from './keys.js'
import { SETTINGS, type Settings } from './settings.js'

export interface NodeConfig {
  readonly settings: Settings
  readonly keys: NodeKeys
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
  const settings = await readSettings(SETTINGS, {
    environment,
    configVariable: CONFIG_VARIABLE,
    ...(needsModels ? {} : { defaults: { models: [] } }),
    resolvePaths: (name, value, folder) => (name === 'models' ? modelsIn(folder, value as Settings['models']) : value),
  })
  return { settings, keys: await readKeys(environment) }
}

function modelsIn(folder: string, models: Settings['models']): Settings['models'] {
  return models.map((model) => (model.kind === 'onnx' ? { ...model, file: resolve(folder, model.file) } : model))
}
