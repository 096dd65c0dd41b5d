import { SILENT } from '@opg/operator'
import type { Address, Hex } from '@opg/protocol'
import { JsonRpcProvider, Wallet } from 'ethers'
import { randomBytes } from 'node:crypto'
import { writeSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { createEngine } from '../../../src/engine/createEngine.js'
import { openEngineStore } from '../../../src/engine/store/engineStore.js'
import { openPostgres } from '../../../src/engine/store/postgres.js'
import { captureOf, openingOf } from '../../../src/engine/store/rows.js'
import { openSqlite } from '../../../src/engine/store/sqlite.js'
import type { ChildInput } from './child.js'
import { TEST_POLICY, sleep } from './world.js'

/** An engine in a process of its own, to be killed. */

class DeadlyProvider extends JsonRpcProvider {
  readonly #killAt: ChildInput['killAt']

  constructor({ rpcUrl, killAt }: ChildInput) {
    super(rpcUrl, 31_337, { staticNetwork: true, cacheTimeout: -1, batchMaxCount: 1 })
    this.#killAt = killAt
  }

  override async send(method: string, params: unknown[] | Record<string, unknown>): Promise<unknown> {
    const isDeadly = method === this.#killAt?.method
    if (isDeadly && this.#killAt.when === 'before') process.kill(process.pid, 'SIGKILL')
    const answer: unknown = await super.send(method, params)
    if (isDeadly) process.kill(process.pid, 'SIGKILL')
    return answer
  }
}

const input = JSON.parse(await text(process.stdin)) as ChildInput
const { books, leaseMs } = input
const escrow = input.escrow as Address
const store = await openEngineStore({
  database: books.startsWith('postgres:') ? openPostgres(books, { logger: SILENT }) : openSqlite(books),
  identity: { escrow, chainId: 31_337n },
  clock: Date.now,
  random: randomBytes,
  leaseMs,
})
const engine = createEngine({
  store,
  provider: new DeadlyProvider(input),
  signers: [new Wallet(input.senderKey)],
  escrow,
  chainId: 31_337n,
  policy: TEST_POLICY,
  laneRenewMs: leaseMs / 4,
  clock: Date.now,
  sleep,
  logger: SILENT,
})
// Captures are there before the lane runs, so that a run can be killed at the first call of either.
for (const capture of input.captures) await engine.capture(captureOf(capture))
engine.start()
writeSync(1, 'ready\n')
await Promise.all(
  input.locks.map(async ({ opening, attempt }) => {
    const outcome = await engine.lock({ opening: openingOf(opening), attempt: attempt as Hex, timeoutMs: 60_000 })
    writeSync(1, `${outcome.status}\n`)
  }),
)
// Until it is killed.
await sleep(120_000)
