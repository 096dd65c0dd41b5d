import type { SignedAttempt } from '@opg/operator'
import { type Hex, ZERO_BYTES32 } from '@opg/protocol'
import { afterEach, beforeEach } from 'vitest'
import type { LaneLease } from '../../src/store/outboxTypes.js'
import type { BooksIdentity, NodeStore, StoredOrder } from '../../src/store/types.js'
import { IDENTITY, commitmentOf, hash, reserved } from '../support/books.js'
import { type TestClock, createTestClock } from '../support/clock.js'

export const LEASE_MS = 10_000

/** How a kind of store is made. */
export interface StoreFactory {
  /** Another handle on the same books, as another process would have it. */
  open(input: { readonly clock: TestClock; readonly identity: BooksIdentity }): Promise<NodeStore>
  remove(): Promise<void>
}

export type CreateStore = () => Promise<StoreFactory>

export const ATTEMPT: SignedAttempt = {
  raw: '0x02',
  hash: hash('tx'),
  maxFeePerGas: 1n,
  maxPriorityFeePerGas: 1n,
  signedAtMs: 0,
}

/** Fresh books for each test, and what tests do with them. */
export interface Books {
  readonly store: NodeStore
  readonly clock: TestClock
  readonly another: (identity?: BooksIdentity) => Promise<NodeStore>
  /** Reserves and commits. */
  readonly commit: (order: StoredOrder, index: bigint, fee: bigint) => Promise<void>
  readonly present: (orderId: Hex) => Promise<StoredOrder>
  readonly lane: (handle?: NodeStore) => Promise<LaneLease>
  /** Plans, writes and books a settlement; the id of its entry. */
  readonly settle: (
    order: StoredOrder,
    result: { readonly cumulativeFee: bigint; readonly block: number },
  ) => Promise<number>
}

/** Registers the hooks of a suite. */
export function setUpBooks(create: CreateStore): Books {
  let fixture: StoreFactory
  let clock: TestClock
  let store: NodeStore
  const opened: NodeStore[] = []

  async function another(identity: BooksIdentity = IDENTITY): Promise<NodeStore> {
    const handle = await fixture.open({ clock, identity })
    opened.push(handle)
    return handle
  }

  beforeEach(async () => {
    fixture = await create()
    clock = createTestClock()
    store = await another()
  })
  afterEach(async () => {
    for (const handle of opened.splice(0)) await handle.close()
    await fixture.remove()
  })

  async function commit(order: StoredOrder, index: bigint, fee: bigint): Promise<void> {
    const reservation = await reserved(store, order, index, fee)
    await store.commit(reservation, commitmentOf(order, reservation, { fee }))
  }

  async function present(orderId: Hex): Promise<StoredOrder> {
    const order = await store.order(orderId)
    if (order === undefined) throw new TypeError('the order has gone')
    return order
  }

  async function lane(handle = store): Promise<LaneLease> {
    const lease = await handle.holdLane()
    if (lease === undefined) throw new TypeError('the lane is held')
    return lease
  }

  async function settle(
    order: StoredOrder,
    result: { readonly cumulativeFee: bigint; readonly block: number },
  ): Promise<number> {
    const lease = await lane()
    const settlements = await store.planSettlements(lease, [{ orderId: order.orderId, close: undefined }])
    const entry = await store.recordEntry(lease, {
      kind: 'settle',
      nonce: 0,
      data: '0x',
      gasLimit: 1n,
      settlements,
      attempt: ATTEMPT,
    })
    const { orderId } = order
    const row = { orderId, outcome: 'settled', settled: true, closed: false, cumulativeFee: result.cumulativeFee }
    const block = { number: result.block, hash: ZERO_BYTES32 }
    await store.book(lease, { id: entry.id, booking: { state: 'confirmed', block, rows: [row] } })
    await store.book(lease, { id: entry.id, booking: { state: 'confirmed', block, rows: [row] } })
    return entry.id
  }

  return {
    get store() {
      return store
    },
    get clock() {
      return clock
    },
    another,
    commit,
    present,
    lane,
    settle,
  }
}
