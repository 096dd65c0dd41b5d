import type { ServerResponse } from 'node:http'
import { ComputeError } from '../compute/errors.js'

/** An answer that leaves piece by piece. It waits for slow clients, but not forever. */
export class StreamedReply {
  readonly #response: ServerResponse
  readonly #stallTimeoutMs: number

  /** @param stallTimeoutMs how long a client may take nothing before it counts as gone */
  constructor(response: ServerResponse, stallTimeoutMs: number) {
    this.#response = response
    this.#stallTimeoutMs = stallTimeoutMs
  }

  get hasStarted(): boolean {
    return this.#response.headersSent
  }

  /** Sends status and headers, if that was not done. */
  start(contentType: string, headers: Readonly<Record<string, string>> = {}): void {
    if (this.#response.headersSent) return
    this.#response.writeHead(200, {
      ...headers,
      'content-type': contentType,
      'cache-control': 'no-store',
      // Proxies that buffer would turn a stream into a wait.
      'x-accel-buffering': 'no',
    })
  }

  /** Resolves once there is room for more. @throws {ComputeError} CLIENT_GONE */
  async write(chunk: Uint8Array): Promise<void> {
    if (this.#response.destroyed || this.#response.closed) throw gone()
    if (this.#response.write(chunk)) return
    await this.#drained()
  }

  end(last?: string): void {
    this.#response.end(last)
  }

  #drained(): Promise<void> {
    const response = this.#response
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(timer)
        response.off('drain', onDrain).off('close', onClose)
        act()
      }
      const onDrain = (): void => {
        settle(resolve)
      }
      const onClose = (): void => {
        settle(() => {
          reject(gone())
        })
      }
      const timer = setTimeout(() => response.destroy(), this.#stallTimeoutMs)
      response.on('drain', onDrain).on('close', onClose)
    })
  }
}

function gone(): ComputeError {
  return new ComputeError('CLIENT_GONE', 'The client left.')
}
