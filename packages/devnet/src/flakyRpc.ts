import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** How the RPC answers: rightly, with HTTP 500, with what is no JSON, with a broken line, or not at all. */
export type RpcMood = 'well' | 'error' | 'garbage' | 'hang-up' | 'silent'

/** An RPC whose line can be broken at any time, for tests. */
export interface FlakyRpc {
  readonly url: string
  mood: RpcMood
  /** A method that the chain is asked, but whose answer is lost on its way back. */
  deafTo: string | undefined
  /** Methods that were asked for, in order. */
  readonly asked: string[]
  stop(): Promise<void>
}

/** A real RPC behind a line that can break. */
export async function startFlakyRpc(upstream: string): Promise<FlakyRpc> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const { method } = JSON.parse(body.toString()) as { method: string }
      rpc.asked.push(method)
      if (rpc.mood === 'silent') return
      if (rpc.mood === 'hang-up') response.destroy()
      else if (rpc.mood === 'garbage') response.end('<html>')
      else if (rpc.mood === 'error') response.writeHead(500).end('{"error":"busy"}')
      else {
        void fetch(upstream, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
          .then((answer) => answer.text())
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
