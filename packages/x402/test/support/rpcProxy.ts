import { once } from 'node:events'
import { type Server, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** A chain's RPC that can be down for whoever asks through it. */
export class RpcProxy {
  readonly #server: Server
  isDown = false

  private constructor(target: string) {
    this.#server = createServer((request, response) => {
      if (this.isDown) {
        response.writeHead(503).end()
        return
      }
      void (async () => {
        const headers = { 'content-type': 'application/json' }
        const answer = await fetch(target, { method: 'POST', headers, body: await text(request) })
        response.writeHead(answer.status, headers).end(await answer.text())
      })()
    })
  }

  static async start(target: string): Promise<RpcProxy> {
    const proxy = new RpcProxy(target)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }
}
