import { deploymentOf, DeploymentUnknownError } from '@opg/bindings'
import { parseDeployment, type Deployment } from '@opg/protocol'
import { readFile } from 'node:fs/promises'
import { ConfigError } from '../errors.js'

/**
 * Where the contracts are: by the manifest that is configured, or by the one recorded for the chain.
 *
 * @param manifest `file`: its path. `variable`: how errors name the setting
 * @throws {ConfigError} if the manifest cannot be read or is of another chain, or none is configured and none recorded
 */
export async function findDeployment(
  chainId: bigint,
  { file, variable }: { readonly file: string | undefined; readonly variable: string },
): Promise<Deployment> {
  if (file === undefined) return recorded(chainId, variable)
  const deployment = await readManifest(file, variable)
  if (BigInt(deployment.chainId) !== chainId) {
    throw new ConfigError(
      variable,
      `the manifest of chain ${chainId.toString()}, and it is of ${String(deployment.chainId)}`,
    )
  }
  return deployment
}

function recorded(chainId: bigint, variable: string): Deployment {
  try {
    return deploymentOf(chainId)
  } catch (cause) {
    if (!(cause instanceof DeploymentUnknownError)) throw cause
    const chain = chainId.toString()
    throw new ConfigError(
      variable,
      `set, to the path of a manifest such as deployments/${chain}.json: no deployment is recorded for chain ${chain} in this build. If it is the wrong chain, check the RPC URL`,
      { cause },
    )
  }
}

async function readManifest(path: string, variable: string): Promise<Deployment> {
  try {
    return parseDeployment(JSON.parse(await readFile(path, 'utf8')), 'manifest')
  } catch (cause) {
    throw new ConfigError(variable, 'the path of a deployment manifest, deployments/<chainId>.json', { cause })
  }
}
