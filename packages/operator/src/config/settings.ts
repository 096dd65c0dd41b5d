import type { z } from 'zod'
import { ConfigError } from '../errors.js'

/** One thing to set: by its environment variable, or by its name in the configuration file. */
export interface Setting {
  readonly variable: string
  readonly schema: z.ZodType
  /** One line for people: what it is, and its default. */
  readonly help: string
  /** A path: in the configuration file it counts from there. */
  readonly isPath?: boolean
  /** In the environment it is written as JSON. */
  readonly isJson?: boolean
}

export type SettingTable = Readonly<Record<string, Setting>>

/** What a table of settings is read to. */
export type SettingsOf<Table extends SettingTable> = { readonly [Name in keyof Table]: z.output<Table[Name]['schema']> }

/** A setting's value as its schema reads it. `source` is how errors name it. @throws {ConfigError} */
export function parseSetting(
  { schema }: Setting,
  { value, source }: { readonly value: unknown; readonly source: string },
): unknown {
  const result = schema.safeParse(value)
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

/** The part of a manual about settings. */
export function settingsHelp(input: {
  readonly keys: Readonly<Record<string, string>>
  readonly configVariable: string
  readonly settings: SettingTable
}): string {
  const { keys, configVariable, settings } = input
  const lines = [
    ...Object.entries(keys),
    [configVariable, 'Path of a JSON file with the settings below, by the names in brackets. The environment wins.'],
    ...Object.entries(settings).map(([name, { variable, help }]) => [variable, `${help} [${name}]`]),
  ]
  return `\nSettings (environment):\n${lines.map(([variable, help]) => `  ${String(variable).padEnd(36)} ${String(help)}`).join('\n')}`
}
