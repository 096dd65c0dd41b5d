import { ConfigError } from '@opg/operator'
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { readKeys, type NodeKeys } from './keys.js'
import { SETTINGS, type SettingName, type Settings } from './settings.js'

/** The environment of the process, given from the edge. */
export type Environment = Readonly<Record<string, string | undefined>>

export interface NodeConfig {
  readonly settings: Settings
  readonly keys: NodeKeys
}

/** Names the configuration file. */
export const CONFIG_VARIABLE = 'OPG_NODE_CONFIG'

const NAMES = Object.keys(SETTINGS) as SettingName[]

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
  const file = await readConfigFile(environment)
  const parsed: Partial<Record<SettingName, unknown>> = {}
  for (const name of NAMES) {
    const { value, source, folder } = find(name, { environment, file })
    if (name === 'models' && value === undefined && !needsModels) parsed[name] = []
    else parsed[name] = resolvePaths(name, parse(name, value, source), folder)
  }
  return { settings: parsed as Settings, keys: await readKeys(environment) }
}

interface ConfigFile {
  readonly path: string
  readonly members: ReadonlyMap<string, unknown>
}

async function readConfigFile(environment: Environment): Promise<ConfigFile | undefined> {
  const path = environment[CONFIG_VARIABLE]
  if (path === undefined || path === '') return undefined
  const members = membersOf(await readJsonFile(path), CONFIG_VARIABLE)
  const unknown = [...members.keys()].find((key) => !NAMES.includes(key as SettingName))
  if (unknown !== undefined) {
    throw new ConfigError(
      `${CONFIG_VARIABLE}: ${unknown.slice(0, 40)}`,
      `absent; the file may hold ${NAMES.join(', ')}`,
    )
  }
  return { path, members }
}

async function readJsonFile(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown
  } catch (cause) {
    throw new ConfigError(CONFIG_VARIABLE, 'the path of a readable JSON file', { cause })
  }
}

function membersOf(value: unknown, setting: string): ReadonlyMap<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new ConfigError(setting, 'a JSON object')
  return new Map(Object.entries(value))
}

interface Found {
  readonly value: unknown
  /** How errors name it. */
  readonly source: string
  /** That of the file, where it stands there. */
  readonly folder?: string
}

function find(
  name: SettingName,
  { environment, file }: { readonly environment: Environment; readonly file: ConfigFile | undefined },
): Found {
  const setting = SETTINGS[name]
  const { variable } = setting
  const text = environment[variable]
  if (text !== undefined && text !== '') {
    return { value: 'isJson' in setting ? parseJson(text, variable) : text, source: variable }
  }
  const value = file?.members.get(name)
  if (file === undefined || value === undefined) return { value: undefined, source: variable }
  return { value, source: `${CONFIG_VARIABLE}: ${name}`, folder: dirname(file.path) }
}

function parseJson(text: string, variable: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new ConfigError(variable, 'JSON')
  }
}

function parse(name: SettingName, value: unknown, source: string): unknown {
  const result = SETTINGS[name].schema.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const path = (issue?.path ?? [])
    .map((key) => (typeof key === 'number' ? `[${String(key)}]` : `.${String(key)}`))
    .join('')
  const expected = expectedOf(issue)
  throw new ConfigError(`${source}${path}`, value === undefined ? `set, to ${expected}` : expected)
}

function expectedOf(
  issue:
    { readonly code?: string | undefined; readonly message: string; readonly keys?: readonly string[] } | undefined,
): string {
  if (issue === undefined) return 'something else'
  if (issue.code === 'unrecognized_keys')
    return `without the unknown ${(issue.keys ?? []).map((key) => key.slice(0, 40)).join(', ')}`
  return issue.message
}

/** Paths in the file count from the file's folder, as the file may be used from anywhere. */
function resolvePaths(name: SettingName, value: unknown, folder: string | undefined): unknown {
  if (folder === undefined) return value
  if ('isPath' in SETTINGS[name] && typeof value === 'string') return resolve(folder, value)
  if (name !== 'models') return value
  return (value as Settings['models']).map((model) =>
    model.kind === 'onnx' ? { ...model, file: resolve(folder, model.file) } : model,
  )
}
