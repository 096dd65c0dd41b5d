type Address = `0x${string}`

/** Where the contracts of one chain are. A manifest `deployments/<chainId>.json` holds exactly this. */
export interface Deployment {
  readonly chainId: number
  /** The block of the escrow's deployment or an earlier one: events are read from here. */
  readonly deployedAtBlock: number
  readonly token: Address
  readonly permit2: Address
  readonly feePolicy: Address
  readonly modelRegistry: Address
  readonly escrow: Address
  readonly keyReceiptVerifier: Address
  /** Null where the chain has no registry of TEE keys. */
  readonly teeReceiptVerifier: Address | null
  readonly teeRegistry: Address | null
}

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
