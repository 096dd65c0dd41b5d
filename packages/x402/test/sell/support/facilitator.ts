import { UptoAdapter__factory, InferenceEscrow__factory } from '@opg/bindings'
import type { Devnet } from '@opg/devnet'
import { createEngine, openEngineStore, openSqlite } from '@opg/facilitator'
import { SILENT } from '@opg/node'
import { domainSeparator, orderSeed, type Address, type Hex } from '@opg/protocol'
import { randomBytes } from 'node:crypto'
import type { AddressInfo } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { createFacilitatorService } from '../../../../facilitator/src/service.js'
import { createFacilitatorServer } from '../../../../facilitator/src/http/server.js'
import { createHealth } from '../../../../facilitator/src/http/health.js'
import { createMetrics } from '../../../../facilitator/src/http/metrics.js'
import { createRpcReader } from '../../../../facilitator/src/verify/rpcReader.js'

export interface RunningFacilitator {
  readonly url: string
  stop(): Promise<void>
}

/** A facilitator with its HTTP server and its books in a file, quick so that tests are. */
export async function startFacilitator(devnet: Devnet, booksPath: string): Promise<RunningFacilitator> {
  const { provider, deployment } = devnet
  const { escrow, token, uptoAdapter } = deployment
  if (uptoAdapter === null) throw new Error('a devnet has the adapter')
  const sender = devnet.wallets[3]
  const chainId = BigInt(devnet.chainId)
  const [deploymentChainId, deskInitCodeHash] = await Promise.all([
    InferenceEscrow__factory.connect(escrow, provider).deploymentChainId(),
    UptoAdapter__factory.connect(uptoAdapter, provider).DESK_INIT_CODE_HASH(),
  ])
  const deployed = {
    chainId,
    deploymentChainId,
    escrow,
    token,
    separator: domainSeparator({ chainId, escrow }),
    seed: orderSeed({ chainId: deploymentChainId, escrow }),
    upto: { adapter: uptoAdapter, deskInitCodeHash: deskInitCodeHash as Hex },
  }
  const store = await openEngineStore({
    database: openSqlite(booksPath),
    identity: { escrow, chainId },
    clock: Date.now,
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
    clock: Date.now,
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
    policy: { facilitator, minFacilitatorBps: 0, deadlineMarginSeconds: 6, sponsorsApprovals: false },
    reader,
    engine,
    lockTimeoutMs: 10_000,
    clock: Date.now,
    logger: SILENT,
  })
  const limits = { minBalance: 0n, maxPendingSeconds: 60 }
  const health = createHealth({ engine, reader, limits, clock: Date.now })
  const server = createFacilitatorServer({ service, health, metrics: createMetrics(), clock: Date.now, logger: SILENT })
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
