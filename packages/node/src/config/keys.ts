import { ConfigError, Secret } from '@opg/operator'
import { readFile } from 'node:fs/promises'
import type { Environment } from './loadConfig.js'

export interface NodeKeys {
  /** `0x` and 64 hexadecimal digits: sends transactions, and signs receipts where no enclave's key does. */
  readonly nodeKey: Secret
  /** PEM of the enclave's RSA key. */
  readonly teeKey: Secret | undefined
}

/** How the keys are given, for help texts. */
export const KEY_VARIABLES = {
  OPG_NODE_PRIVATE_KEY: "The node's private key, 0x and 64 hexadecimal digits. This or the file is required.",
  OPG_NODE_PRIVATE_KEY_FILE: 'Path of a file with that key.',
  OPG_NODE_TEE_KEY_FILE: "Path of the enclave's RSA private key as PEM. Default: only the node's key signs receipts.",
} as const

const PRIVATE_KEY = /^0x[0-9a-fA-F]{64}$/
// What a header can carry; fetch would quote anything else in its error.
const API_KEY = /^[\x21-\x7e]{1,4096}$/

/** Reads the keys. No error shows any part of them, nor what was read in their place (N8). @throws {ConfigError} */
export async function readKeys(environment: Environment): Promise<NodeKeys> {
  return { nodeKey: await readNodeKey(environment), teeKey: await readTeeKey(environment) }
}

/** The API key of an upstream, from the variable that its model names. @throws {ConfigError} */
export function readApiKey(environment: Environment, variable: string): Secret {
  const value = environment[variable]
  if (value === undefined || !API_KEY.test(value)) {
    throw new ConfigError(
      variable,
      'set to an API key of printable characters without spaces, as a model names it in apiKeyEnv',
    )
  }
  return new Secret(value)
}

async function readNodeKey(environment: Environment): Promise<Secret> {
  const [direct, file] = ['OPG_NODE_PRIVATE_KEY', 'OPG_NODE_PRIVATE_KEY_FILE'] as const
  const path = given(environment, file)
  if (given(environment, direct) !== undefined && path !== undefined) {
    throw new ConfigError(direct, `absent where ${file} is set`)
  }
  const key = path === undefined ? given(environment, direct) : (await readKeyFile(path, file)).trim()
  if (key === undefined || !PRIVATE_KEY.test(key)) {
    const expected = 'a private key, 0x and 64 hexadecimal digits'
    throw new ConfigError(
      path === undefined ? direct : file,
      path === undefined ? expected : `the path of a file with ${expected}`,
    )
  }
  return new Secret(key)
}

async function readTeeKey(environment: Environment): Promise<Secret | undefined> {
  const variable = 'OPG_NODE_TEE_KEY_FILE'
  const path = given(environment, variable)
  return path === undefined ? undefined : new Secret(await readKeyFile(path, variable))
}

async function readKeyFile(path: string, variable: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    // Without the cause: a key given in place of the path would be quoted in it.
    throw new ConfigError(variable, 'the path of a readable file')
  }
}

function given(environment: Environment, variable: string): string | undefined {
  const value = environment[variable]
  return value === '' ? undefined : value
}
