import { type Address, type Hex, ZERO_ADDRESS, ZERO_BYTES32 } from '@opg/protocol'
import { randomBytes } from 'node:crypto'
import { afterEach, beforeEach } from 'vitest'
import { type EngineStoreOptions, openEngineStore } from '../../../src/engine/store/engineStore.js'
import type { SqlDatabase } from '../../../src/engine/store/sql.js'
import type { EngineStore, LaneLease, Reading } from '../../../src/engine/store/types.js'
import type { Capture, Opening } from '../../../src/engine/types.js'

/** How a kind of database is made: each call of `open` is a connection of another process. */
export interface BooksFactory {
  open(): SqlDatabase
  remove(): Promise<void>
}

export const LEASE_MS = 10_000
export const START_MS = 1_800_000_000_000
export const IDENTITY = { escrow: '0x1111111111111111111111111111111111111111', chainId: 31_337n } as const
export const SENDER: Address = '0x2222222222222222222222222222222222222222'
export const OTHER_SENDER: Address = '0x3333333333333333333333333333333333333333'
export const PAYER: Address = '0x4444444444444444444444444444444444444444'
export const NODE: Address = '0x5555555555555555555555555555555555555555'
export const BLOCK = { number: 7, hash: bytes32(7) }
/** All that is to be opened, and all that is to be captured. */
export const NOW = { limit: 100, gatheredByMs: Number.MAX_SAFE_INTEGER }
export const ALL = { limit: 100, queuedByMs: Number.MAX_SAFE_INTEGER, urgentBy: 0 }
export const CLAIM_BY = 1_900_000_000
export const LIMITS = {
  maxUnopened: 1_000,
  maxUnopenedOfPayer: 1_000,
  maxUnpaidOfPayer: 1_000,
  maxUnpaidOfNode: 1_000,
  leastFee: 10n,
  maxOpeningsOfPayer: 0,
  maxOpeningsOfNode: 0,
}

/** Books of one test, as several processes have them, with a clock of their own. */
export class Books {
  readonly factory: BooksFactory
  readonly #opened: EngineStore[] = []
  #store: EngineStore | undefined
  nowMs = START_MS

  constructor(factory: BooksFactory) {
    this.factory = factory
  }

  /** The first process's. */
  get store(): EngineStore {
    if (this.#store === undefined) throw new TypeError('the books are not open')
    return this.#store
  }

  async open(): Promise<void> {
    this.#store = await this.another()
  }

  async another(options: Partial<Pick<EngineStoreOptions, 'identity'>> = {}): Promise<EngineStore> {
    const database = this.factory.open()
    try {
      const books = await openEngineStore({
        database,
        identity: IDENTITY,
        clock: () => this.nowMs,
        random: randomBytes,
        leaseMs: LEASE_MS,
        ...options,
      })
      this.#opened.push(books)
      return books
    } catch (error) {
      await database.close()
      throw error
    }
  }

  async remove(): Promise<void> {
    for (const books of this.#opened) await books.close()
    await this.factory.remove()
  }

  async lane(books = this.store, sender = SENDER): Promise<LaneLease> {
    const lease = await books.holdLane(sender)
    if (lease === undefined) throw new TypeError('the lane is taken')
    return lease
  }

  /** Writes a transaction for orders that were taken. */
  record(
    lease: LaneLease,
    input: { readonly ids: readonly Hex[]; readonly kind?: 'open' | 'capture' | 'reclaim'; readonly nonce?: number },
  ): ReturnType<EngineStore['recordEntry']> {
    const { ids: orderIds, kind = 'open', nonce = 0 } = input
    const attempt = {
      hash: bytes32(1_000 + nonce),
      raw: '0x02',
      maxFeePerGas: 5n,
      maxPriorityFeePerGas: 1n,
      signedAtMs: this.nowMs,
    } as const
    return this.store.recordEntry(lease, { kind, nonce, data: '0x1234', gasLimit: 21_000n, orderIds, attempt })
  }

  /** An order that is open in the books. */
  async openOrder(n: number): Promise<Opening> {
    const order = opening(n)
    await this.store.enqueue(wish(order))
    await this.store.note(await this.lane(), [reading(order, 'open')])
    return order
  }
}

/** Fresh books for each test of a suite; the result is what the running test has. */
export function useBooks(create: () => Promise<BooksFactory>): () => Books {
  let books: Books | undefined
  beforeEach(async () => {
    books = new Books(await create())
    await books.open()
  })
  afterEach(() => books?.remove())
  return () => {
    if (books === undefined) throw new TypeError('no test runs')
    return books
  }
}

export function bytes32(n: number): Hex {
  return `0x${n.toString(16).padStart(64, '0')}`
}

export function opening(
  n: number,
  { payer = PAYER, node = NODE }: { readonly payer?: Address; readonly node?: Address } = {},
): Opening {
  return {
    orderId: bytes32(n),
    terms: {
      node,
      facilitator: ZERO_ADDRESS,
      facilitatorBps: 0,
      verifier: NODE,
      evidenceKey: ZERO_BYTES32,
      modelId: ZERO_BYTES32,
    },
    order: {
      payer,
      nonce: BigInt(n),
      amount: 1_000n,
      job: { requester: payer, requestHash: ZERO_BYTES32 },
      claimBy: CLAIM_BY,
    },
    funding: { kind: 'permit2', deadline: 9n, signature: '0x11' },
    approval: undefined,
  }
}

export function wish(order: Opening): Parameters<EngineStore['enqueue']>[0] {
  return { opening: order, batchKey: 'key', attempt: bytes32(50), limits: LIMITS }
}

export function capture({ orderId }: Opening, cumulativeFee: bigint): Capture {
  const settlement = { orderId, cumulativeFee, receiptsRoot: ZERO_BYTES32, receiptCount: 2n ** 64n - 1n, close: true }
  return { orderId, settlement, evidence: '0xbeef' }
}

export function reading({ orderId }: Opening, chain: Reading['chain'], more: Partial<Reading> = {}): Reading {
  return { orderId, chain, block: BLOCK, ...more }
}
