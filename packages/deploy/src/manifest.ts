import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Deployment, InvalidInputError, parseDeployment } from '@opg/protocol'
import { ManifestInvalidError } from './errors.js'

/** The manifest of a chain, if there is one. @throws {ManifestInvalidError} */
export function readManifest(folder: string, chainId: number): Deployment | undefined {
  const path = pathOf(folder, chainId)
  if (!existsSync(path)) return undefined
  try {
    const deployment = parseDeployment(JSON.parse(readFileSync(path, 'utf8')), 'manifest')
    if (deployment.chainId === chainId) return deployment
    throw new InvalidInputError({ field: 'chainId', expected: String(chainId), value: deployment.chainId })
  } catch (cause) {
    throw new ManifestInvalidError(path, { cause })
  }
}

/** Writes a manifest whole or not at all. */
export function writeManifest(folder: string, deployment: Deployment): void {
  mkdirSync(folder, { recursive: true })
  const path = pathOf(folder, deployment.chainId)
  const temporary = `${path}.${String(process.pid)}.tmp`
  writeFileSync(temporary, `${JSON.stringify(deployment, undefined, 2)}\n`, { flush: true })
  renameSync(temporary, path)
}

/** Forgets a chain that is gone. */
export function removeManifest(folder: string, chainId: number): void {
  rmSync(pathOf(folder, chainId), { force: true })
}

function pathOf(folder: string, chainId: number): string {
  return resolve(folder, `${String(chainId)}.json`)
}
