import { readFile } from 'node:fs/promises'
import { ConfigError } from '../errors.js'
import { Secret } from '../secret.js'
import type { Environment } from './readSettings.js'

const PRIVATE_KEY = /^0x[0-9a-fA-F]{64}$/

/**
 * Reads an account's private key, `0x` and 64 hexadecimal digits, from the variable `direct` or from the file that the
 * variable `file` names. No error shows any part of it, nor what was read in its place (N8).
 *
 * @throws {ConfigError}
 */
export async function readPrivateKey(
  environment: Environment,
  { direct, file }: { readonly direct: string; readonly file: string },
): Promise<Secret> {
  const path = givenIn(environment, file)
  if (givenIn(environment, direct) !== undefined && path !== undefined) {
    throw new ConfigError(direct, `absent where ${file} is set`)
  }
  const key = path === undefined ? givenIn(environment, direct) : (await readKeyFile(path, file)).trim()
  if (key === undefined || !PRIVATE_KEY.test(key)) {
    const expected = 'a private key, 0x and 64 hexadecimal digits'
    throw new ConfigError(
      path === undefined ? direct : file,
      path === undefined ? expected : `the path of a file with ${expected}`,
    )
  }
  return new Secret(key)
}

/** The text of a key's file. @throws {ConfigError} naming the variable, and nothing of the path */
export async function readKeyFile(path: string, variable: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch {
    // Without the cause: a key given in place of the path would be quoted in it.
    throw new ConfigError(variable, 'the path of a readable file')
  }
}

/** A variable's value; undefined where it is empty. */
export function givenIn(environment: Environment, variable: string): string | undefined {
  const value = environment[variable]
  return value === '' ? undefined : value
}
