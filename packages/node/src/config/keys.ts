import { ConfigError, Secret, givenIn, readKeyFile, readPrivateKey, type Environment } from '@opg/operator'

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

// What a header can carry; fetch would quote anything else in its error.
const API_KEY = /^[\x21-\x7e]{1,4096}$/

/** Reads the keys. No error shows any part of them, nor what was read in their place (N8). @throws {ConfigError} */
export async function readKeys(environment: Environment): Promise<NodeKeys> {
  const nodeKey = await readPrivateKey(environment, {
    direct: 'OPG_NODE_PRIVATE_KEY',
    file: 'OPG_NODE_PRIVATE_KEY_FILE',
  })
  return { nodeKey, teeKey: await readTeeKey(environment) }
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

async function readTeeKey(environment: Environment): Promise<Secret | undefined> {
  const variable = 'OPG_NODE_TEE_KEY_FILE'
  const path = givenIn(environment, variable)
  return path === undefined ? undefined : new Secret(await readKeyFile(path, variable))
}
