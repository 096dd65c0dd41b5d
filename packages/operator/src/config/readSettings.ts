import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../errors.js'
import { parseSetting, type Setting, type SettingTable, type SettingsOf } from './settings.js'

/** The environment of the process, given from the edge. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads settings: environment variables, and a JSON file for what they do not set. Its paths count from its folder, as it
 * may be used from anywhere.
 *
 * @param options `configVariable`: names the file. `defaults`: what stands for a setting that is nowhere given.
 *   `resolvePaths`: finds paths that stand inside of a value from the file.
 * @throws {ConfigError} naming the variable, or the file's member
 */
export async function readSettings<Table extends SettingTable>(
  table: Table,
  options: {
    readonly environment: Environment
    readonly configVariable: string
    readonly defaults?: Partial<SettingsOf<Table>>
    readonly resolvePaths?: (name: keyof Table, value: unknown, folder: string) => unknown
  },
): Promise<SettingsOf<Table>> {
  const { defaults, resolvePaths } = options
  const file = await readConfigFile(options, Object.keys(table))
  const entries = Object.entries<Setting>(table).map(([name, setting]): [string, unknown] => {
    const { value, source, folder } = find(name, { setting, file, ...options })
    if (value === undefined && defaults !== undefined && Object.hasOwn(defaults, name)) return [name, defaults[name]]
    const parsed = parseSetting(setting, { value, source })
    if (folder === undefined) return [name, parsed]
    if (setting.isPath === true && typeof parsed === 'string') return [name, resolve(folder, parsed)]
    return [name, resolvePaths === undefined ? parsed : resolvePaths(name, parsed, folder)]
  })
  return Object.fromEntries(entries) as SettingsOf<Table>
}

interface ConfigFile {
  readonly path: string
  readonly members: ReadonlyMap<string, unknown>
}

async function readConfigFile(
  { environment, configVariable }: { readonly environment: Environment; readonly configVariable: string },
  names: readonly string[],
): Promise<ConfigFile | undefined> {
  const path = environment[configVariable]
  if (path === undefined || path === '') return undefined
  const members = membersOf(await readJsonFile(path, configVariable), configVariable)
  const unknown = [...members.keys()].find((key) => !names.includes(key))
  if (unknown !== undefined) {
    throw new ConfigError(`${configVariable}: ${unknown.slice(0, 40)}`, `absent; the file may hold ${names.join(', ')}`)
  }
  return { path, members }
}

async function readJsonFile(path: string, variable: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as unknown
  } catch (cause) {
    throw new ConfigError(variable, 'the path of a readable JSON file', { cause })
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
  name: string,
  input: {
    readonly setting: Setting
    readonly file: ConfigFile | undefined
    readonly environment: Environment
    readonly configVariable: string
  },
): Found {
  const { setting, file, environment, configVariable } = input
  const { variable } = setting
  const text = environment[variable]
  if (text !== undefined && text !== '') {
    return { value: setting.isJson === true ? parseJson(text, variable) : text, source: variable }
  }
  const value = file?.members.get(name)
  if (file === undefined || value === undefined) return { value: undefined, source: variable }
  return { value, source: `${configVariable}: ${name}`, folder: dirname(file.path) }
}

function parseJson(text: string, variable: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new ConfigError(variable, 'JSON')
  }
}
