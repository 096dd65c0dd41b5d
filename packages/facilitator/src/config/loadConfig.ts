import {
  findStrangers,
  readPrivateKey,
  readSettings,
  type Environment,
  type Secret,
  type Stranger,
} from '@opg/operator'
import { resolve } from 'node:path'
import { CONFIG_VARIABLE, KEY_VARIABLES, SETTINGS, type Settings } from './settings.js'

export interface FacilitatorConfig {
  readonly settings: Settings
  /** `0x` and 64 hexadecimal digits: pays the gas, and its account is paid the facilitator's share. */
  readonly key: Secret
  /** Variables that nothing reads: to be warned of. */
  readonly strangers: readonly Stranger[]
}

/**
 * Reads the configuration: environment variables, and a JSON file (`OPG_FACILITATOR_CONFIG`) for what they do not set.
 * The key comes from the environment or from a file of its own, never from this file.
 *
 * @throws {ConfigError} naming the variable, or the file's member
 */
export async function loadConfig(environment: Environment): Promise<FacilitatorConfig> {
  const variables = Object.values(SETTINGS).map(({ variable }) => variable)
  const known = [CONFIG_VARIABLE, ...Object.keys(KEY_VARIABLES), ...variables]
  const strangers = findStrangers(environment, { prefix: 'OPG_FACILITATOR_', known })
  const settings = await readSettings(SETTINGS, {
    environment,
    configVariable: CONFIG_VARIABLE,
    resolvePaths: (name, value, folder) =>
      name === 'database' && typeof value === 'string' && !isPostgres(value) ? resolve(folder, value) : value,
  })
  const key = await readPrivateKey(environment, {
    direct: 'OPG_FACILITATOR_PRIVATE_KEY',
    file: 'OPG_FACILITATOR_PRIVATE_KEY_FILE',
  })
  return { settings, key, strangers }
}

/** Whether a database is a server's. */
export function isPostgres(database: string): boolean {
  return /^postgres(ql)?:\/\//.test(database)
}
