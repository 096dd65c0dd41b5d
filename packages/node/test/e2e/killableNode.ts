import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createServer, type AddressInfo } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const CLI = fileURLToPath(new URL('../../dist/cli.js', import.meta.url))

type Environment = Readonly<Record<string, string>>

/** An `opg-node serve` that can be killed and started again on the same books and the same port. */
export interface KillableNode {
  readonly url: string
  /** Resolves once it listens. */
  start(): Promise<void>
  /** SIGKILL. Resolves once it is gone. */
  kill(): Promise<void>
  /** SIGTERM. @returns its exit code */
  stop(): Promise<number | null>
  /** All that any of its processes wrote. */
  output(): string
}

/** @param environment as the command reads it; the port is chosen here */
export async function createKillableNode(environment: Environment): Promise<KillableNode> {
  const port = await freePort()
  let child: ChildProcess | undefined
  let output = ''

  const end = async (signal: NodeJS.Signals): Promise<number | null> => {
    const running = child
    child = undefined
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return null
    const gone = new Promise<number | null>((resolve) => running.once('exit', resolve))
    running.kill(signal)
    return gone
  }
  return {
    url: `http://127.0.0.1:${String(port)}`,
    start: async () => {
      const started = spawnCli(['serve', '--json'], { ...environment, OPG_NODE_PORT: String(port) })
      child = started
      started.stderr.setEncoding('utf8').on('data', (text: string) => (output += text))
      await new Promise<void>((resolve, reject) => {
        createInterface({ input: started.stdout }).on('line', (line) => {
          output += `${line}\n`
          if (line.includes('"listening"')) resolve()
        })
        started.once('exit', (code) => {
          reject(new TypeError(`the node ended with ${String(code)} before it listened:\n${output.slice(-2_000)}`))
        })
      })
    },
    kill: async () => {
      await end('SIGKILL')
    },
    stop: () => end('SIGTERM'),
    output: () => output,
  }
}

export interface CommandRun {
  readonly exitCode: number | null
  readonly stdout: string
  readonly stderr: string
}

/** Runs an `opg-node` command to its end. */
export async function runCommand(args: readonly string[], environment: Environment): Promise<CommandRun> {
  const child = spawnCli(args, environment)
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text))
  const exitCode = await new Promise<number | null>((resolve) => child.once('close', resolve))
  return { exitCode, stdout, stderr }
}

function spawnCli(args: readonly string[], environment: Environment) {
  if (!existsSync(CLI)) throw new TypeError(`${CLI} is not built: run npm run build first`)
  return spawn(process.execPath, [CLI, ...args], { env: environment, stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A port that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}
