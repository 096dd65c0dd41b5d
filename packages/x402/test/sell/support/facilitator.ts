import type { Devnet } from '@opg/devnet'
import {
  createEngine,
  createFacilitatorServer,
  createFacilitatorService,
  createHealth,
  createMetrics,
  createRpcReader,
  openDeployed,
  openEngineStore,
  openSqlite,
} from '@opg/facilitator'
import { SILENT } from '@opg/node'
import type { Address } from '@opg/protocol'
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'

export interface RunningFacilitator {
  readonly url: string
  stop(): Promise<void>
}

/** A facilitator with its HTTP server and its books in a file, quick so that tests are. */
export async function startFacilitator(devnet: Devnet, booksPath: string): Promise<RunningFacilitator> {
  const { provider, deployment } = devnet
  const sender = devnet.wallets[3]
  const deployed = await openDeployed(provider, deployment)
  const { chainId, deploymentChainId, escrow } = deployed
  const clock = Date.now
  const store = await openEngineStore({
    database: openSqlite(booksPath),
    identity: { escrow, chainId: deploymentChainId },
    clock,
    random: randomBytes,
    leaseMs: 2_000,
  })
  const engine = createEngine({
    store,
    provider,
    signers: [sender],
    escrow,
    chainId,
    policy: { pollMs: 20, captureIntervalMs: 20, restMs: 50, reclaimDelaySeconds: 5, urgentSeconds: 60 },
    laneRenewMs: 500,
    clock,
    sleep: async (ms, signal) => {
      await wait(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
    },
    logger: SILENT,
  })
  engine.start()
  const facilitator = sender.address as Address
  const reader = createRpcReader({ provider, deployed, from: facilitator })
  const service = createFacilitatorService({
    deployed,
    policy: { facilitator, minFacilitatorBps: 0, deadlineMarginSeconds: 6, sponsorsApprovals: true },
    reader,
    engine,
    lockTimeoutMs: 10_000,
    clock,
    logger: SILENT,
  })
  const health = createHealth({ engine, reader, limits: { minBalance: 0n, maxPendingSeconds: 60 }, clock })
  const server = createFacilitatorServer({ service, health, metrics: createMetrics(), clock, logger: SILENT })
  await server.listen({ port: 0, host: '127.0.0.1' })
  const { port } = server.server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${String(port)}`,
    stop: async () => {
      await server.close()
      await engine.stop()
      await store.close()
    },
  }
}
