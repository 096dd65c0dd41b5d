import { drain, EXIT, listen, print, waitForStop, warnOfGasMoney, type ExitCode } from '@opg/operator'
import type { FastifyInstance } from 'fastify'
import { SETTINGS } from '../config/settings.js'
import { createHealth } from '../http/health.js'
import { createMetrics } from '../http/metrics.js'
import { createFacilitatorServer } from '../http/server.js'
import { configure, type CommandContext, type OpenContext } from './context.js'
import { wireFacilitator, type WiredFacilitator } from './wire.js'

/** `opg-facilitator serve`: answers until it is asked to stop; then it answers what runs, and ends. */
export async function serveCommand(context: CommandContext): Promise<ExitCode> {
  const open = await configure(context)
  const { config, edge, logger } = open
  const wired = await wireFacilitator(open)
  try {
    const app = createServer(wired, open)
    // Before anybody can know that it runs: a signal that comes right then must find a listener.
    const stop = waitForStop(edge, logger)
    try {
      await checkGasMoney(wired, open)
      wired.engine.start()
      announce(wired, open, await listen(app, config.settings, SETTINGS))
      await stop.first
      // What is booked goes on.
      await drain(app, { edge, logger, again: stop.again, shutdownSeconds: config.settings.shutdownSeconds })
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

async function checkGasMoney({ engine, service }: WiredFacilitator, { config, logger }: OpenContext): Promise<void> {
  const { balance } = await engine.status()
  warnOfGasMoney({ account: service.policy.facilitator, balance, needed: config.settings.minBalance }, logger)
}

function announce({ service }: WiredFacilitator, open: OpenContext, url: string): void {
  const { facilitator } = service.policy
  print(open, {
    wire: { status: 'listening', url, facilitator },
    lines: [`Facilitator ${facilitator} listens on ${url}`],
  })
}
