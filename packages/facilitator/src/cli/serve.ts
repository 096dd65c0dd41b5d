import { ConfigError, EXIT, print, waitForStop, type ExitCode } from '@opg/operator'
import type { FastifyInstance } from 'fastify'
import type { AddressInfo } from 'node:net'
import { SETTINGS } from '../config/settings.js'
import { createHealth } from '../http/health.js'
import { createMetrics } from '../http/metrics.js'
import { createFacilitatorServer } from '../http/server.js'
import { configure, type CommandContext, type OpenContext } from './context.js'
import { wireFacilitator, type WiredFacilitator } from './wire.js'

/** `opg-facilitator serve`: answers until it is asked to stop; then it answers what runs, and ends. */
export async function serveCommand(context: CommandContext): Promise<ExitCode> {
  const open = await configure(context)
  const { edge, logger } = open
  const wired = await wireFacilitator(open)
  try {
    const app = createServer(wired, open)
    // Before anybody can know that it runs: a signal that comes right then must find a listener.
    const stop = waitForStop(edge, logger)
    try {
      wired.engine.start()
      await listen(app, open)
      announce(wired, open, app)
      await stop.first
      await drain(app, { open, again: stop.again })
    } finally {
      await app.close()
    }
    print(open, { wire: { status: 'stopped' }, lines: ['Stopped.'] })
    return EXIT.ok
  } finally {
    await wired.close()
  }
}

function createServer({ service, engine, reader }: WiredFacilitator, open: OpenContext): FastifyInstance {
  const { edge, logger, config } = open
  const { minBalance, maxPendingSeconds, bodyBytes } = config.settings
  const { clock } = edge
  return createFacilitatorServer({
    service,
    health: createHealth({ engine, reader, limits: { minBalance, maxPendingSeconds }, clock }),
    metrics: createMetrics(),
    clock,
    logger,
    limits: { bodyBytes },
  })
}

async function listen(app: FastifyInstance, { config }: OpenContext): Promise<void> {
  const { host, port } = config.settings
  try {
    await app.listen({ host, port })
  } catch (cause) {
    const names = `${SETTINGS.host.variable} and ${SETTINGS.port.variable}`
    throw new ConfigError(names, `an address and a port that are free here, and not ${host}:${String(port)}`, { cause })
  }
}

function announce({ service }: WiredFacilitator, open: OpenContext, app: FastifyInstance): void {
  const { address, family, port } = app.server.address() as AddressInfo
  const url = `http://${family === 'IPv6' ? `[${address}]` : address}:${String(port)}`
  const { facilitator } = service.policy
  print(open, {
    wire: { status: 'listening', url, facilitator },
    lines: [`Facilitator ${facilitator} listens on ${url}`],
  })
}

/** Answers what runs, until the time is over or somebody asks again; then it cuts off. What is booked goes on. */
async function drain(
  app: FastifyInstance,
  { open, again }: { readonly open: OpenContext; readonly again: Promise<undefined> },
): Promise<void> {
  const timeIsOver = new AbortController()
  const deadline = open.edge.sleep(open.config.settings.shutdownSeconds * 1000, timeIsOver.signal)
  const drained = app.close()
  const isDrained = await Promise.race([drained.then(() => true), deadline.then(() => false), again.then(() => false)])
  timeIsOver.abort()
  if (isDrained) return
  open.logger.warn({}, 'requests that still run are cut off')
  app.server.closeAllConnections()
  await drained
}
