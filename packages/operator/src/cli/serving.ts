import type { AddressInfo } from 'node:net'
import type { Setting } from '../config/settings.js'
import type { Logger } from '../edge.js'
import { ConfigError } from '../errors.js'
import type { CliEdge } from './edge.js'

/** An HTTP server; one of fastify is one. */
export interface HttpServer {
  listen(at: { readonly host: string; readonly port: number }): Promise<unknown>
  /** Takes no more; resolves once all connections are closed. */
  close(): PromiseLike<unknown>
  readonly server: { address(): AddressInfo | string | null; closeAllConnections(): void }
}

/**
 * Lets a server listen where its settings say, and gives its URL.
 *
 * @param names the two settings, as errors name them
 * @throws {ConfigError} where that address and port cannot be listened on
 */
export async function listen(
  app: HttpServer,
  { host, port }: { readonly host: string; readonly port: number },
  names: Readonly<Record<'host' | 'port', Pick<Setting, 'variable'>>>,
): Promise<string> {
  try {
    await app.listen({ host, port })
  } catch (cause) {
    const setting = `${names.host.variable} and ${names.port.variable}`
    const expected = `an address and a port that are free here, and not ${host}:${String(port)}`
    throw new ConfigError(setting, expected, { cause })
  }
  const { address, family, port: taken } = app.server.address() as AddressInfo
  return `http://${family === 'IPv6' ? `[${address}]` : address}:${String(taken)}`
}

/**
 * Answers what runs, until the time is over or somebody asks again; then it cuts off.
 *
 * @param options `again`: resolves when it shall not wait any longer. `idle`: what to wait for beside the connections.
 *   `cut`: told when it cuts off
 */
export async function drain(
  app: HttpServer,
  options: {
    readonly edge: Pick<CliEdge, 'sleep'>
    readonly logger: Logger
    readonly shutdownSeconds: number
    readonly again: Promise<unknown>
    readonly idle?: () => Promise<void>
    readonly cut?: AbortController
  },
): Promise<void> {
  const { edge, logger, shutdownSeconds, again, idle, cut } = options
  const timeIsOver = new AbortController()
  const deadline = edge.sleep(shutdownSeconds * 1000, timeIsOver.signal)
  const drained = app.close().then(idle)
  const isDrained = await Promise.race([drained.then(() => true), deadline.then(() => false), again.then(() => false)])
  timeIsOver.abort()
  if (isDrained) return
  logger.warn({}, 'requests that still run are cut off')
  cut?.abort()
  app.server.closeAllConnections()
  await drained
}
