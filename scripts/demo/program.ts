import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { DemoError } from './report.js'

/** One of the project's programs, running as a process of its own. */
export interface Program {
  readonly url: string
  /** Runs another command of the same program on the same books. @returns its JSON */
  command(name: string): Promise<unknown>
  stop(): Promise<void>
}

/** Starts `<program> serve --json` as an operator would, and waits until it listens. */
export async function startProgram(cli: string, environment: NodeJS.ProcessEnv): Promise<Program> {
  const child = run(cli, { args: ['serve', '--json'], environment })
  const url = await Promise.race([listening(child, cli), failed(child, cli)])
  return {
    url,
    command: async (name) => {
      const command = run(cli, { args: [name, '--json'], environment })
      let output = ''
      command.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
      const [code] = (await once(command, 'close')) as [number | null]
      if (code !== 0) throw new DemoError(`${cli} ${name} ended with ${String(code)}: ${output}`)
      return JSON.parse(output) as unknown
    },
    stop: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGTERM')
      await once(child, 'exit')
    },
  }
}

function run(
  cli: string,
  { args, environment }: { readonly args: readonly string[]; readonly environment: NodeJS.ProcessEnv },
) {
  // Of the benchmarks, some are not compiled.
  const loader = cli.endsWith('.ts') ? ['--import', 'tsx'] : []
  return spawn(process.execPath, [...loader, cli, ...args], { env: environment, stdio: ['ignore', 'pipe', 'inherit'] })
}

async function listening({ stdout }: ChildProcess, cli: string): Promise<string> {
  if (stdout === null) throw new DemoError(`${cli} has no output`)
  for await (const line of createInterface({ input: stdout })) {
    const said = JSON.parse(line) as { status?: string; url?: string }
    if (said.status === 'listening' && said.url !== undefined) {
      stdout.resume()
      return said.url
    }
  }
  throw new DemoError(`${cli} ended before it listened`)
}

async function failed(child: ChildProcess, cli: string): Promise<never> {
  const [code] = (await once(child, 'exit')) as [number | null]
  throw new DemoError(`${cli} ended with ${String(code)} before it listened`)
}
