export type { Deployment } from '@opg/protocol'

/** No manifest for this chain was there when the package was built. */
export class DeploymentUnknownError extends Error {
  readonly code = 'DEPLOYMENT_UNKNOWN'
  readonly chainId: number

  constructor(input: { readonly chainId: number; readonly known: readonly number[] }) {
    const known = input.known.length === 0 ? 'none' : input.known.join(', ')
    super(
      `No deployment is recorded for chain ${String(input.chainId)} (known: ${known}). Check the RPC URL, or pass the manifest's addresses.`,
    )
    this.name = 'DeploymentUnknownError'
    this.chainId = input.chainId
  }
}
