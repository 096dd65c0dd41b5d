import { ConfigError } from '@opg/operator'
import { deploymentOf } from '@opg/bindings'
import { parseDeployment, type Deployment } from '@opg/protocol'
import { readFile } from 'node:fs/promises'
import { SETTINGS, type Settings } from '../config/settings.js'

/**
 * Where the contracts are: by the manifest that is configured, or by the one recorded for the chain.
 *
 * @throws {ConfigError} if the manifest cannot be read, or is of another chain
 * @throws {DeploymentUnknownError} if none is configured and none recorded
 */
export async function findDeployment(
  { deploymentFile }: Pick<Settings, 'deploymentFile'>,
  chainId: bigint,
): Promise<Deployment> {
  if (deploymentFile === undefined) return deploymentOf(chainId)
  const { variable } = SETTINGS.deploymentFile
  const deployment = await readManifest(deploymentFile, variable)
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
