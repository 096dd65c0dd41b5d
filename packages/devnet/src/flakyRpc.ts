import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** How the RPC answers: rightly, with HTTP 500, with what is no JSON, with a broken line, or not at all. */
export type RpcMood = 'well' | 'error' | 'garbage' | 'hang-up' | 'silent'

/** An RPC whose line can be broken at any time, for tests. */
export interface FlakyRpc {
  readonly url: string
  mood: RpcMood
  /** A method that the chain is asked, but whose answer is lost on its way back. */
  deafTo: string | undefined
  /** Methods that are answered by what is said here; the chain is not asked. */
  readonly lies: Map<string, unknown>
  /** Milliseconds that each answer takes. */
  delayMs: number
  /** Methods that were asked for, in order. */
  readonly asked: string[]
  stop(): Promise<void>
}

/** A real RPC behind a line that can break. */
export async function startFlakyRpc(upstream: string): Promise<FlakyRpc> {
  async function answerTo(asked: {
    readonly id: number
    readonly method: string
    readonly body: Buffer
  }): Promise<string> {
    const { id, method, body } = asked
    if (rpc.lies.has(method)) return JSON.stringify({ jsonrpc: '2.0', id, result: rpc.lies.get(method) })
    const answer = await fetch(upstream, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
    return answer.text()
  }

  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const { id, method } = JSON.parse(body.toString()) as { id: number; method: string }
      rpc.asked.push(method)
      if (rpc.mood === 'silent') return
      if (rpc.mood === 'hang-up') response.destroy()
      else if (rpc.mood === 'garbage') response.end('<html>')
      else if (rpc.mood === 'error') response.writeHead(500).end('{"error":"busy"}')
      else {
        void answerTo({ id, method, body })
          .then((text) => sleep(rpc.delayMs, text))
          .then((text) => (method === rpc.deafTo ? response.destroy() : response.end(text)))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  const rpc: FlakyRpc = {
    url: `http://127.0.0.1:${String(port)}`,
    mood: 'well',
    deafTo: undefined,
    lies: new Map(),
    delayMs: 0,
    asked: [],
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => {
          resolve()
        })
      }),
  }
  return rpc
}
