import { DeploymentUnknownError, type Deployment } from './deployment.js'
import { deployments } from './generated/deployments.js'

export * from './generated/abis.js'
export { codes } from './generated/codes.js'
export * from './generated/contracts.js'
export { deployments } from './generated/deployments.js'
export * from './generated/permit2.js'
export { DeploymentUnknownError, type Deployment } from './deployment.js'
export { isCodeOf, type ContractName } from './isCodeOf.js'

/** The deployment on a chain. @throws {DeploymentUnknownError} if none was recorded */
export function deploymentOf(chainId: number | bigint): Deployment {
  const deployment = deployments[Number(chainId)]
  if (deployment === undefined) {
    throw new DeploymentUnknownError({ chainId: Number(chainId), known: Object.keys(deployments).map(Number) })
  }
  return deployment
}
