import { drain, EXIT, errorFields, listen, print, waitForStop, warnOfGasMoney, type ExitCode } from '@opg/operator'
import { SETTINGS } from '../config/settings.js'
import { trackInFlight } from '../http/inFlight.js'
import { createNodeServer } from '../http/server.js'
import { createBackends } from './backends.js'
import { configure, type CommandContext, type OpenContext } from './context.js'
import { wireCashier } from './selling.js'
import type { PaymentNode } from '../service/openNode.js'
import { closeBackends, nodeAddressOf, nodeInfo, wireNode, type WiredNode } from './wire.js'

/** What settling a few orders may cost; with less, the node is warned. */
const SETTLEMENT_GAS = 300_000n

/** `opg-node serve`: sells compute and settles, until it is asked to stop; then it answers what runs, and ends. */
export async function serveCommand(context: CommandContext): Promise<ExitCode> {
  const open = await configure(context, { needsModels: true })
  const { config, edge, logger, version } = open
  const backends = await createBackends(config.settings.models, { node: nodeAddressOf(config.keys.nodeKey), edge })
  try {
    const modelIds = backends.map(({ model }) => model.modelId)
    const wired = await wireNode({ config, edge, logger, modelIds, signs: true })
    const { payments } = wired
    const info = nodeInfo(wired, { config, version })
    const cashier = await orClose(payments, wireCashier(wired, { config, info, edge, logger }))
    const tracked = trackInFlight(payments.service)
    const cut = new AbortController()
    const app = createNodeServer({
      service: tracked.service,
      books: payments.store,
      backends,
      info,
      logger,
      cashier,
      publicUrl: config.settings.publicUrl,
      limits: { bodyBytes: config.settings.bodyBytes },
      stop: cut.signal,
    })
    try {
      // Before anybody can know that it runs: a signal that comes right then must find a listener.
      const stop = waitForStop(edge, logger)
      const url = await listen(app, config.settings, SETTINGS)
      const { settleIntervalSeconds, shutdownSeconds } = config.settings
      const intervalMs = settleIntervalSeconds * 1000
      const core = startCore(open, async (signal) => {
        await Promise.all([payments.run({ signal, settleIntervalMs: intervalMs }), cashier.run({ signal, intervalMs })])
      })
      await checkGasMoney(wired, open)
      announce(open, url)
      await Promise.race([stop.first, core.failed])
      await drain(app, { idle: () => tracked.idle(), cut, edge, logger, shutdownSeconds, again: stop.again })
      await core.stop()
      print(open, { wire: { status: 'stopped' }, lines: ['Stopped.'] })
      return EXIT.ok
    } finally {
      await app.close()
      await payments.close()
    }
  } finally {
    await closeBackends(backends)
  }
}

/** Where the next step fails, the node is closed. */
async function orClose<T>(payments: PaymentNode, step: Promise<T>): Promise<T> {
  try {
    return await step
  } catch (error) {
    await payments.close()
    throw error
  }
}

/** A node without gas money serves, and cannot settle. */
async function checkGasMoney({ payments, provider }: WiredNode, { logger }: OpenContext): Promise<void> {
  const account = payments.node
  const [balance, price] = await Promise.all([
    provider.getBalance(account).catch(() => undefined),
    provider.getFeeData().then(
      ({ maxFeePerGas, gasPrice }) => maxFeePerGas ?? gasPrice ?? 0n,
      () => 0n,
    ),
  ])
  const needed = SETTLEMENT_GAS * price
  warnOfGasMoney({ account, balance, needed: needed === 0n ? 1n : needed }, logger)
}

function announce(open: OpenContext, url: string): void {
  const node = nodeAddressOf(open.config.keys.nodeKey)
  print(open, { wire: { status: 'listening', url, node }, lines: [`Node ${node} listens on ${url}`] })
}

/** Heartbeat and settler. Without them a node must not serve, so their failure ends it. */
function startCore(
  { logger }: OpenContext,
  run: (signal: AbortSignal) => Promise<void>,
): { readonly failed: Promise<void>; readonly stop: () => Promise<void> } {
  const end = new AbortController()
  const running = run(end.signal)
  const failed = new Promise<void>((resolve) => {
    running.catch((error: unknown) => {
      logger.error(errorFields(error), 'the payment core failed; the node stops')
      resolve()
    })
  })
  return {
    failed,
    /** Rejects with what made it fail, if it did. */
    stop: () => {
      end.abort()
      return running
    },
  }
}
