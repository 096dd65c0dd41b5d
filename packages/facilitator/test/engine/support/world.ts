import { type Devnet, startDevnet } from '@opg/devnet'
import type { LogFields, Logger, Sleep } from '@opg/operator'
import {
  type EscrowInfo,
  approvePermit2,
  createWorkOrder,
  prepareGaslessStart,
  readEscrow,
  signGaslessStart,
  signWorkOrder,
} from '@opg/payer'
import {
  type Address,
  type Hex,
  type Settlement,
  type Terms,
  UPTO_PROXY,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  deskAddress,
  domainSeparator,
  orderId,
  orderSeed,
  structDigest,
  uptoDigest,
  uptoOrder,
} from '@opg/protocol'
import { type JsonRpcProvider, type Wallet, toQuantity } from 'ethers'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { type EngineOptions, createEngine } from '../../../src/engine/createEngine.js'
import type { EnginePolicy } from '../../../src/engine/policy.js'
import { openEngineStore } from '../../../src/engine/store/engineStore.js'
import type { SqlDatabase } from '../../../src/engine/store/sql.js'
import { openSqlite } from '../../../src/engine/store/sqlite.js'
import type { EngineStore } from '../../../src/engine/store/types.js'
import type { Capture, Engine, LockOutcome, Opening } from '../../../src/engine/types.js'

export const OPG = 10n ** 18n
/** Tests wait so long for what must come, and for nothing else. */
const PATIENCE_MS = 60_000

export const sleep: Sleep = async (ms, signal) => {
  await wait(ms, undefined, signal === undefined ? {} : { signal }).catch(() => undefined)
}

/** Quick, so that tests are. */
export const TEST_POLICY: Partial<EnginePolicy> = {
  pollMs: 20,
  captureIntervalMs: 20,
  restMs: 50,
  reclaimDelaySeconds: 5,
  urgentSeconds: 60,
}

export interface OpeningInput {
  readonly payer?: Wallet
  readonly terms?: Partial<Terms>
  readonly amount?: bigint
  readonly nonce?: bigint
  /** Seconds from the latest block. */
  readonly claimIn?: number
}

export type UptoInput = OpeningInput & { readonly claimWindow?: number; readonly validAfter?: bigint }

export interface RunningEngine {
  readonly engine: Engine
  readonly store: EngineStore
  /** Stops the engine and closes its books. */
  close(): Promise<void>
}

/** A chain with everything, a directory for books, and whoever takes part. */
export class EngineWorld {
  readonly devnet: Devnet
  readonly directory: string
  readonly escrow: EscrowInfo
  readonly logged: string[] = []
  readonly node: Wallet
  readonly payer: Wallet
  /** Pays the gas. */
  readonly sender: Wallet
  #nonce = 0n
  #books = 0

  private constructor(devnet: Devnet, directory: string, escrow: EscrowInfo) {
    this.devnet = devnet
    this.directory = directory
    this.escrow = escrow
    const [, node, payer, sender] = devnet.wallets
    this.node = node
    this.payer = payer
    this.sender = sender
  }

  static async start(): Promise<EngineWorld> {
    const devnet = await startDevnet()
    const escrow = await readEscrow(devnet.provider, devnet.deployment.escrow)
    const world = new EngineWorld(devnet, await mkdtemp(join(tmpdir(), 'opg-engine-')), escrow)
    await world.fund(world.payer, 1_000_000n * OPG)
    return world
  }

  async stop(): Promise<void> {
    await this.devnet.stop()
    await rm(this.directory, { recursive: true })
  }

  /** Gives a wallet money, and lets Permit2 take it. */
  async fund(wallet: Wallet, amount: bigint): Promise<void> {
    await this.devnet.mint(wallet.address, amount)
    await approvePermit2(wallet, { token: this.devnet.deployment.token })
  }

  freshBooks(): string {
    this.#books += 1
    return join(this.directory, `books${String(this.#books)}.db`)
  }

  /** Keeps every line. */
  get logger(): Logger {
    const keep = (fields: LogFields, message: string): void => {
      this.logged.push(JSON.stringify({ message, ...fields }))
    }
    return { info: keep, warn: keep, error: keep }
  }

  openStore(database: SqlDatabase, options: { readonly leaseMs?: number } = {}): Promise<EngineStore> {
    const { escrow, chainId } = this.escrow
    const identity = { escrow, chainId }
    return openEngineStore({ database, identity, clock: Date.now, random: randomBytes, ...options })
  }

  /** An engine that runs, with books of its own if none are named. */
  async startEngine(
    input: {
      readonly database?: SqlDatabase
      readonly leaseMs?: number
      readonly provider?: JsonRpcProvider
      readonly policy?: Partial<EnginePolicy>
      readonly options?: Partial<EngineOptions>
    } = {},
  ): Promise<RunningEngine> {
    const { database = openSqlite(this.freshBooks()), leaseMs = 2_000, provider = this.devnet.provider } = input
    const store = await this.openStore(database, { leaseMs })
    const engine = createEngine({
      store,
      provider,
      signers: [this.sender],
      escrow: this.escrow.escrow,
      chainId: this.escrow.chainId,
      policy: { ...TEST_POLICY, ...input.policy },
      laneRenewMs: leaseMs / 4,
      clock: Date.now,
      sleep,
      logger: this.logger,
      ...input.options,
    })
    engine.start()
    return {
      engine,
      store,
      close: async () => {
        await engine.stop()
        await store.close()
      },
    }
  }

  terms(overrides: Partial<Terms> = {}): Terms {
    return {
      node: this.node.address as Address,
      facilitator: ZERO_ADDRESS,
      facilitatorBps: 0,
      verifier: this.devnet.deployment.keyReceiptVerifier,
      evidenceKey: ZERO_BYTES32,
      modelId: ZERO_BYTES32,
      ...overrides,
    }
  }

  /** An order that its payer signed. */
  async opening(input: OpeningInput = {}): Promise<Opening> {
    this.#nonce += 1n
    const { payer = this.payer, amount = OPG, nonce = this.#nonce, claimIn = 86_400 } = input
    const now = await this.devnet.now()
    const prepared = createWorkOrder({
      escrow: this.escrow,
      terms: this.terms(input.terms),
      payer: payer.address as Address,
      amount,
      nonce,
      claimBy: now + claimIn,
      now,
    })
    const { order, deadline, signature } = await signWorkOrder(payer, prepared)
    const { orderId, terms } = prepared
    return { orderId, terms, order, funding: { kind: 'permit2', deadline, signature } }
  }

  /** An order of a payer that never approved Permit2, and the approval to be sent along. */
  async approvedOpening(payer: Wallet): Promise<Opening> {
    const now = await this.devnet.now()
    const prepared = createWorkOrder({
      escrow: this.escrow,
      terms: this.terms(),
      payer: payer.address as Address,
      amount: OPG,
      nonce: 1n,
      claimBy: now + 86_400,
      now,
    })
    const start = await prepareGaslessStart(this.devnet.provider, { escrow: this.escrow, work: prepared })
    const { signed, permit } = await signGaslessStart(payer, start)
    if (permit === null) throw new TypeError('Permit2 is approved already')
    const { orderId, terms } = prepared
    const { order, deadline, signature } = signed
    const { value, deadline: approvalDeadline, signature: approval } = permit
    return {
      orderId,
      terms,
      order,
      funding: { kind: 'permit2', deadline, signature },
      approval: { value, deadline: approvalDeadline, signature: approval },
    }
  }

  /** What an unmodified upto client of x402 signs for this offer. */
  async uptoOpening({
    claimWindow = 3_600,
    validAfter = 0n,
    payer = this.payer,
    ...input
  }: UptoInput = {}): Promise<Opening> {
    this.#nonce += 1n
    const { nonce = this.#nonce } = input
    const { uptoAdapter: adapter, token } = this.devnet.deployment
    if (adapter === null) throw new TypeError('no adapter')
    const offer = { terms: this.terms(input.terms), claimWindow }
    const initCodeHash = (await this.devnet.contracts.uptoAdapter.DESK_INIT_CODE_HASH()) as Hex
    const authorization = {
      from: payer.address as Address,
      token,
      amount: input.amount ?? OPG,
      spender: UPTO_PROXY,
      nonce,
      deadline: BigInt(await this.devnet.now()) + 600n,
      to: this.escrow.escrow,
      facilitator: deskAddress({ adapter, initCodeHash, offer }),
      validAfter,
    }
    const signature = payer.signingKey.sign(uptoDigest(this.escrow.chainId, authorization)).serialized as Hex
    const order = uptoOrder(offer, authorization)
    const { terms } = offer
    const id = orderId({
      seed: orderSeed({ chainId: this.escrow.deploymentChainId, escrow: this.escrow.escrow }),
      terms,
      order,
    })
    const { deadline } = authorization
    return {
      orderId: id,
      terms,
      order,
      funding: { kind: 'upto', adapter, deadline, claimWindow, validAfter, signature },
    }
  }

  openings(count: number, input: OpeningInput = {}): Promise<readonly Opening[]> {
    return Promise.all(Array.from({ length: count }, () => this.opening(input)))
  }

  /** The node's closing settlement of an order, with evidence by `key`. */
  capture({ orderId, terms }: Opening, fee: bigint, key: Wallet = this.node): Capture {
    const settlement: Settlement = {
      orderId,
      cumulativeFee: fee,
      receiptsRoot: ZERO_BYTES32,
      receiptCount: 0n,
      close: true,
    }
    const separator = domainSeparator(this.escrow)
    const value = { node: terms.node, evidenceKey: terms.evidenceKey, settlements: [settlement] }
    const digest = structDigest(separator, { name: 'SettlementBatch', value })
    return { orderId, settlement, evidence: key.signingKey.sign(digest).serialized as Hex }
  }

  async chainOrder(orderId: Hex): Promise<'none' | 'open' | 'closed'> {
    const { openedAt, closed } = await this.devnet.contracts.escrow.orders(orderId)
    return openedAt === 0n ? 'none' : closed ? 'closed' : 'open'
  }

  /** What evidence released of an order, by the events of the chain, oldest first. */
  async settledFees(orderId: Hex): Promise<readonly bigint[]> {
    const { escrow } = this.devnet.contracts
    return (await escrow.queryFilter(escrow.filters.OrderSettled(orderId))).map(({ args }) => args.cumulativeFee)
  }

  /** How often the chain says that an order was opened. */
  async timesOpened(orderId: Hex): Promise<number> {
    const { escrow } = this.devnet.contracts
    return (await escrow.queryFilter(escrow.filters.OrderOpened(orderId))).length
  }

  async timesClosed(orderId: Hex): Promise<number> {
    const { escrow } = this.devnet.contracts
    const { OrderSettled, OrderReclaimed } = escrow.filters
    const [settled, reclaimed] = await Promise.all([
      escrow.queryFilter(OrderSettled(orderId)),
      escrow.queryFilter(OrderReclaimed(orderId)),
    ])
    return settled.length + reclaimed.length
  }

  /** Transactions of the sending key so far. */
  sent(): Promise<number> {
    return this.devnet.provider.getTransactionCount(this.sender.address)
  }

  /** Transactions of the sending key, since a block, that opened and closed nothing. */
  async wasted(sinceBlock: number): Promise<number> {
    const { provider } = this.devnet
    let wasted = 0
    for (let number = sinceBlock + 1; number <= (await provider.getBlockNumber()); number++) {
      const receipts = (await provider.send('eth_getBlockReceipts', [toQuantity(number)])) as readonly {
        readonly from: string
        readonly logs: readonly { readonly address: string }[]
      }[]
      const own = receipts.filter(({ from }) => from.toLowerCase() === this.sender.address.toLowerCase())
      wasted += own.filter(({ logs }) => logs.length === 0).length
    }
    return wasted
  }

  balance(account: string): Promise<bigint> {
    return this.devnet.contracts.token.balanceOf(account)
  }

  /** Opens an order by a transaction of somebody else. */
  async relay({ terms, order, funding }: Opening, by: Wallet = this.devnet.wallets[9]): Promise<void> {
    const { deadline, signature } = funding
    await (await this.devnet.contracts.escrow.connect(by).open(terms, { order, deadline, signature })).wait()
  }
}

export function attempt(): Hex {
  return `0x${randomBytes(32).toString('hex')}`
}

/** Locks for a new attempt, and waits as long as it takes. */
export function lock(engine: Engine, opening: Opening, timeoutMs = PATIENCE_MS): Promise<LockOutcome> {
  return engine.lock({ opening, attempt: attempt(), timeoutMs })
}

/** Waits until something holds. Fails where it never does. */
export async function eventually(holds: () => Promise<boolean>): Promise<void> {
  const until = Date.now() + PATIENCE_MS
  while (!(await holds())) {
    if (Date.now() > until) throw new TypeError('it never held')
    await sleep(20)
  }
}
