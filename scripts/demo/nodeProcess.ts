import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { DemoError, progress } from './report.js'
import { MODEL_NAME, type World } from './world.js'

const CLI = fileURLToPath(new URL('../../packages/node/dist/cli.js', import.meta.url))
const MODEL = fileURLToPath(new URL('../../packages/node/models/languages/languages.onnx', import.meta.url))

/** A node that runs as a process of its own. */
export interface NodeProcess {
  readonly url: string
  /** Runs another `opg-node` command on the same books. @returns its JSON */
  command(name: 'claim' | 'status'): Promise<unknown>
  stop(): Promise<void>
}

/** Starts `opg-node serve` as an operator would: settings in the environment, keys in files. */
export async function startNode(world: World, directory: string): Promise<NodeProcess> {
  progress('starting the node: opg-node serve')
  const environment = await settings(world, directory)
  const child = run(['serve', '--json'], environment)
  const url = await Promise.race([listening(child), failed(child)])
  return {
    url,
    command: async (name) => {
      const command = run([name, '--json'], environment)
      let output = ''
      command.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
      const [code] = (await once(command, 'close')) as [number | null]
      if (code !== 0) throw new DemoError(`opg-node ${name} ended with ${String(code)}: ${output}`)
      return JSON.parse(output) as unknown
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

function run(args: readonly string[], environment: NodeJS.ProcessEnv) {
  return spawn(process.execPath, [CLI, ...args], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] })
}

async function settings(world: World, directory: string): Promise<NodeJS.ProcessEnv> {
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
    OPG_NODE_SETTLE_INTERVAL_SECONDS: '1',
    OPG_NODE_LOG_LEVEL: 'warn',
    OPG_NODE_LOG_FORMAT: 'pretty',
  }
}

async function listening(child: ChildProcess): Promise<string> {
  if (child.stdout === null) throw new DemoError('The node has no output')
  for await (const line of createInterface({ input: child.stdout })) {
    const said = JSON.parse(line) as { status?: string; url?: string }
    if (said.status === 'listening' && said.url !== undefined) {
      child.stdout.resume()
      return said.url
    }
  }
  throw new DemoError('The node ended before it listened')
}

async function failed(child: ChildProcess): Promise<never> {
  const [code] = (await once(child, 'exit')) as [number | null]
  throw new DemoError(`The node ended with ${String(code)} before it listened`)
}
