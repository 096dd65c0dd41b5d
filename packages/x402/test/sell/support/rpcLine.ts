import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

/** A line to the chain that can break, or be behind. */
export interface RpcLine {
  readonly url: string
  mood: 'well' | 'error' | 'garbage' | 'hang-up'
  /** The block that it calls the latest. */
  head: number | undefined
  stop(): Promise<void>
}

/** Starts a line to an RPC. */
export async function startRpcLine(upstream: string): Promise<RpcLine> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks)
      const { method, id } = JSON.parse(body.toString()) as { readonly method: string; readonly id: number }
      if (line.mood === 'hang-up') response.destroy()
      else if (line.mood === 'garbage') response.end('<html>')
      else if (line.mood === 'error') response.writeHead(500).end('{"error":"busy"}')
      else if (method === 'eth_blockNumber' && line.head !== undefined) {
        response.end(JSON.stringify({ jsonrpc: '2.0', id, result: `0x${line.head.toString(16)}` }))
      } else {
        void fetch(upstream, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
          .then((answer) => answer.text())
          .then((text) => response.end(text))
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const line: RpcLine = {
    url: `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`,
    mood: 'well',
    head: undefined,
    stop: () =>
      new Promise((resolve) => {
        server.closeAllConnections()
        server.close(() => {
          resolve()
        })
      }),
  }
  return line
}
