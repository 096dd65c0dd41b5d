import { deploymentOf } from '@opg/bindings'
import { parseDeployment, type Deployment } from '@opg/protocol'
import { readFile } from 'node:fs/promises'
import { ConfigError } from '../errors.js'

/**
 * Where the contracts are: by the manifest that is configured, or by the one recorded for the chain.
 *
 * @param manifest `file`: its path. `variable`: how errors name the setting
 * @throws {ConfigError} if the manifest cannot be read, or is of another chain
 * @throws {DeploymentUnknownError} if none is configured and none recorded
 */
export async function findDeployment(
  chainId: bigint,
  { file, variable }: { readonly file: string | undefined; readonly variable: string },
): Promise<Deployment> {
  if (file === undefined) return deploymentOf(chainId)
  const deployment = await readManifest(file, variable)
  if (BigInt(deployment.chainId) !== chainId) {
    throw new ConfigError(
      variable,
      `the manifest of chain ${chainId.toString()}, and it is of ${String(deployment.chainId)}`,
    )
  }
  return deployment
}

async function readManifest(path: string, variable: string): Promise<Deployment> {
  try {
    return parseDeployment(JSON.parse(await readFile(path, 'utf8')), 'manifest')
  } catch (cause) {
    throw new ConfigError(variable, 'the path of a deployment manifest, deployments/<chainId>.json', { cause })
  }
}
