import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { onTestFinished } from 'vitest'

/** A call on its way; `forward` passes it on and returns what the chain answers. */
export type OnCall = (method: string, forward: () => Promise<string>) => Promise<string>

/** Stands between a command and its chain. */
export async function startProxy(rpcUrl: string, onCall: OnCall): Promise<string> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString()
      const { method } = JSON.parse(body) as { readonly method: string }
      const forward = async (): Promise<string> =>
        await (await fetch(rpcUrl, { method: 'POST', headers: { 'content-type': 'application/json' }, body })).text()
      void onCall(method, forward).then((answer) => response.end(answer))
    })
  })
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`
}
