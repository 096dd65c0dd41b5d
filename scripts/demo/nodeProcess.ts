import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Program, startProgram } from './program.js'
import { progress } from './report.js'
import { MODEL_NAME, type World } from './world.js'

const CLI = fileURLToPath(new URL('../../packages/node/bin/opg-node.mjs', import.meta.url))
const MODEL = fileURLToPath(new URL('../../packages/node/models/languages/languages.onnx', import.meta.url))

export interface NodePlace {
  /** For its key and its books. */
  readonly directory: string
  readonly facilitatorUrl: string
}

/** Starts `opg-node serve` as an operator would: settings in the environment, keys in files. */
export async function startNode(world: World, place: NodePlace): Promise<Program> {
  progress('starting the node: opg-node serve')
  return await startProgram(CLI, await settings(world, place))
}

async function settings(world: World, { directory, facilitatorUrl }: NodePlace): Promise<NodeJS.ProcessEnv> {
  const { devnet, node, terms, teeKeyFile, modelOwner } = world
  const keyFile = join(directory, 'node.key')
  const deploymentFile = join(directory, 'deployment.json')
  await writeFile(keyFile, node.privateKey, { mode: 0o600 })
  await writeFile(deploymentFile, JSON.stringify(devnet.deployment))
  const model = {
    kind: 'onnx',
    name: MODEL_NAME,
    modelId: terms.modelId,
    registrant: modelOwner.address,
    file: MODEL,
    prices: { perRequest: '0.002', inputPerMillion: '5' },
  }
  return {
    PATH: process.env.PATH,
    OPG_NODE_RPC_URL: devnet.rpcUrl,
    OPG_NODE_DEPLOYMENT_FILE: deploymentFile,
    OPG_NODE_PRIVATE_KEY_FILE: keyFile,
    OPG_NODE_TEE_KEY_FILE: teeKeyFile,
    OPG_NODE_DB: join(directory, 'node.sqlite'),
    OPG_NODE_MODELS: JSON.stringify([model]),
    OPG_NODE_PORT: '0',
    OPG_NODE_FACILITATOR_URL: facilitatorUrl,
    OPG_NODE_OFFER_FACILITATOR: terms.facilitator,
    OPG_NODE_OFFER_FACILITATOR_BPS: String(terms.facilitatorBps),
    OPG_NODE_SETTLE_INTERVAL_SECONDS: '1',
    OPG_NODE_LOG_LEVEL: 'warn',
    OPG_NODE_LOG_FORMAT: 'pretty',
  }
}
