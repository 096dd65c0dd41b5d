import type { Devnet } from '@opg/devnet'
import { spawn, type ChildProcess } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import type { Wallet } from 'ethers'

const CLI = fileURLToPath(new URL('../../../facilitator/dist/cli.js', import.meta.url))

/**
 * How the line to the facilitator is: sound; without answers, though everything arrives; slower than nodes wait; broken;
 * or with somebody on it who says that everything is locked.
 */
export type LineMood = 'well' | 'deaf' | 'slow' | 'down' | 'lying'

const SLOW_MS = 4_000

/** A real `opg-facilitator serve` in a process of its own, behind a line that can break. */
export interface FacilitatorProcess {
  /** Of the line. */
  readonly url: string
  mood: LineMood
  /** Settle calls that arrived at the line. */
  readonly calls: number
  /** Called with each answer to a settle call before it goes on. */
  beforeAnswer: (() => Promise<void> | void) | undefined
  stop(): Promise<void>
}

export async function startFacilitator(
  devnet: Devnet,
  { folder, key }: { readonly folder: string; readonly key: Wallet },
): Promise<FacilitatorProcess> {
  const manifest = join(folder, 'facilitator-deployment.json')
  await writeFile(manifest, JSON.stringify(devnet.deployment))
  const child = spawn(process.execPath, [CLI, 'serve', '--json'], {
    env: {
      OPG_FACILITATOR_RPC_URL: devnet.rpcUrl,
      OPG_FACILITATOR_DEPLOYMENT_FILE: manifest,
      OPG_FACILITATOR_DB: join(folder, 'facilitator.sqlite'),
      OPG_FACILITATOR_PRIVATE_KEY: key.privateKey,
      OPG_FACILITATOR_PORT: '0',
      OPG_FACILITATOR_LOG_LEVEL: 'warn',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const upstream = await listening(child)
  return startLine(upstream, child)
}

async function listening(child: ChildProcess): Promise<string> {
  let said = ''
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (said += text))
  return new Promise((resolve, reject) => {
    if (child.stdout === null) throw new TypeError('no stdout')
    createInterface({ input: child.stdout }).on('line', (line) => {
      const { status, url } = JSON.parse(line) as { status: string; url: string }
      if (status === 'listening') resolve(url)
    })
    child.once('exit', (code) => {
      reject(new TypeError(`the facilitator ended with ${String(code)}: ${said}`))
    })
  })
}

async function startLine(upstream: string, child: ChildProcess): Promise<FacilitatorProcess> {
  let calls = 0
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      if (request.url === '/settle') calls += 1
      const [path, method] = [request.url ?? '/', request.method ?? 'GET']
      // A line breaks where the process behind it has ended.
      passOn({ path, method, body: Buffer.concat(chunks), response }).catch(() => response.destroy())
    })
  })
  async function passOn(input: {
    readonly path: string
    readonly method: string
    readonly body: Buffer
    readonly response: ServerResponse
  }): Promise<void> {
    const { path, method, body, response } = input
    const { mood } = line
    if (mood === 'down') {
      response.destroy()
      return
    }
    if (mood === 'lying') {
      const transaction = `0x${'11'.repeat(32)}`
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ success: true, transaction, network: 'eip155:31337' }))
      return
    }
    if (mood === 'slow') await new Promise((resolve) => setTimeout(resolve, SLOW_MS))
    const answer = await fetch(`${upstream}${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      ...(method === 'POST' ? { body } : {}),
    })
    const text = await answer.text()
    if (path === '/settle') await line.beforeAnswer?.()
    if (mood === 'deaf') response.destroy()
    else response.writeHead(answer.status, { 'content-type': 'application/json' }).end(text)
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const line: FacilitatorProcess = {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    mood: 'well',
    beforeAnswer: undefined,
    get calls() {
      return calls
    },
    stop: async () => {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
      if (child.exitCode !== null) return
      const gone = new Promise((resolve) => child.once('exit', resolve))
      child.kill('SIGKILL')
      await gone
    },
  }
  return line
}
