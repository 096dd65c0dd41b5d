import { parseArgs } from 'node:util'
import { deployContracts } from './deployContracts.js'
import { UsageError } from './errors.js'
import { type Network, NETWORKS } from './networks.js'
import { readSettings } from './parameters.js'
import { httpRpc } from './rpc.js'

/** What the command line gets from its surroundings. */
export interface Edge {
  readonly env: Readonly<Record<string, string | undefined>>
  /** The project's root: manifests and journals are kept under it unless the arguments say where. */
  readonly root: string
  readonly stdout: (line: string) => void
  readonly stderr: (line: string) => void
}

const NAMES = NETWORKS.map(({ name }) => name)

const HELP = `Deploys the contracts, records their addresses in deployments/<chain id>.json, and reads everything back.
A second run changes nothing. A run that was cut off is resumed.

Usage: npm run deploy -- --network <name> [--json]

  --network <name>      ${NAMES.join(', ')}
  --json                print the manifest as one line of JSON
  --manifests <folder>  where manifests are kept (deployments)
  --journals <folder>   where Ignition's journals are kept (packages/deploy/ignition/deployments)
  --help                print this

Environment:
  DEPLOYER_PRIVATE_KEY     pays and signs; on localhost the first development account does
  DEPLOY_OWNER             owner of the fee policy (the deployer)
  DEPLOY_NETWORK_RECIPIENT receives the network's share (the deployer)
  DEPLOY_NETWORK_BPS       the network's share in basis points, 0 to 1000 (500)
  DEPLOY_TOKEN             OPG as an ERC-20 with 18 decimals (the network's own)
  DEPLOY_TEE_REGISTRY      registry of TEE keys, or none (the network's own)
${NETWORKS.map(({ rpcUrlVariable, defaultRpcUrl }) => `  ${rpcUrlVariable.padEnd(24)} (${defaultRpcUrl})`).join('\n')}

Exit codes: 0 deployed or nothing to do, 1 failed, 2 wrong usage.`

/** Runs the command. Progress and errors go to stderr, the result to stdout. @returns the exit code */
export async function runDeploy(argv: readonly string[], edge: Edge): Promise<number> {
  try {
    const args = readArgs(argv)
    if (args.help) {
      edge.stdout(HELP)
      return 0
    }
    await deployTo(networkOf(args.network), args, edge)
    return 0
  } catch (error) {
    edge.stderr(error instanceof Error ? error.message : String(error))
    return error instanceof UsageError ? 2 : 1
  }
}

async function deployTo(network: Network, args: ReturnType<typeof readArgs>, edge: Edge): Promise<void> {
  const { rpcUrl, wallet, parameters } = readSettings(network, edge.env)
  edge.stderr(`Deploying to ${network.name} as ${wallet.address}.`)
  const { deployment, changed } = await deployContracts({
    rpc: httpRpc(rpcUrl),
    wallet,
    parameters,
    network,
    journalFolder: args.journals ?? `${edge.root}/packages/deploy/ignition/deployments`,
    manifestFolder: args.manifests ?? `${edge.root}/deployments`,
    log: edge.stderr,
  })
  if (changed) edge.stderr(`Deployed to chain ${String(deployment.chainId)} and read back.`)
  if (args.json) {
    edge.stdout(JSON.stringify(deployment))
  } else {
    for (const [name, value] of Object.entries(deployment)) edge.stdout(`${name.padEnd(24)} ${String(value ?? '-')}`)
  }
}

function networkOf(name: string | undefined): Network {
  const network = NETWORKS.find((candidate) => candidate.name === name)
  if (network !== undefined) return network
  const found = name === undefined ? 'missing' : `"${name.slice(0, 40)}"`
  throw new UsageError(`--network must be one of ${NAMES.join(', ')}, but it is ${found}.`)
}

function readArgs(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      options: {
        network: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
        manifests: { type: 'string' },
        journals: { type: 'string' },
      },
    }).values
  } catch (cause) {
    throw new UsageError(`${cause instanceof Error ? cause.message : String(cause)} See --help.`, { cause })
  }
}
