import { type Logger, type Sender, withMargin } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import { openingCall } from './calls.js'
import type { EngineChain } from './chain.js'
import { groupBy } from './grouping.js'
import type { Outbox } from './outbox.js'
import type { EnginePolicy } from './policy.js'
import { revertReason } from './reverts.js'
import type { EngineStore, LaneLease, StoredOrder } from './store/types.js'

/** Sends what is queued to be opened. */
export interface Openings {
  /** @param nowMs milliseconds: what was queued `gatherMs` before goes */
  send(lease: LaneLease, nowMs: number): Promise<void>
}

type Orders = readonly [StoredOrder, ...StoredOrder[]]

/** What an order alone needs beside its pull. */
const GAS_BESIDE_PULL = 300_000n

export function createOpenings(dependencies: {
  readonly store: EngineStore
  readonly chain: EngineChain
  readonly sender: Sender
  readonly outbox: Outbox
  readonly policy: EnginePolicy
  readonly logger: Logger
  /** Told of orders that were refused. */
  readonly onRefused: (orderId: Hex) => void
}): Openings {
  const { store, chain, sender, outbox, policy, logger, onRefused } = dependencies
  const gasOfOne = policy.gasPerOrder + GAS_BESIDE_PULL

  async function send(lease: LaneLease, nowMs: number): Promise<void> {
    while ((await outbox.room('open')) > 0) {
      const gatheredByMs = nowMs - policy.gatherMs
      const orders = await store.takeOpenings(lease, { limit: policy.maxOpenings, gatheredByMs })
      if (orders.length === 0) return
      for (const group of groupBy(await unopened(lease, orders), openingKey)) await sendGroup(lease, group)
    }
  }

  /** Those that the chain does not know yet. Of others it is noted what it says, once that is deep enough. */
  async function unopened(lease: LaneLease, orders: readonly StoredOrder[]): Promise<readonly StoredOrder[]> {
    const { number } = await sender.latestBlock()
    const readings = await chain.read(orders.map(idOf), number)
    const known = readings.filter((reading) => reading.chain !== 'none').map(idOf)
    await outbox.reread(lease, known)
    await rest(lease, known)
    return orders.filter(({ orderId }) => !known.includes(orderId))
  }

  async function sendGroup(lease: LaneLease, orders: Orders): Promise<void> {
    const [first, ...others] = orders
    if (others.length === 0) {
      await sendOne(lease, first)
      return
    }
    const call = callOf(orders)
    const outcome = await sender.tryCall(call.data, policy.maxGasPerTransaction)
    if (outcome.status === 'reverted') {
      // Too large, or its orders cannot be opened together for a reason that one alone will give.
      await sendHalves(lease, orders)
      return
    }
    const opened = call.opened(outcome.data)
    const good = orders.filter((_, place) => opened[place] === true)
    for (const order of orders) {
      // One that would open by itself shares its payer's money with one ahead of it: once that is mined, it is seen.
      if (!good.includes(order) && (await examine(lease, order))) await rest(lease, [order.orderId])
    }
    if (good.length === orders.length) await submit(lease, { orders, data: call.data })
    else if (isSome(good)) await sendGroup(lease, good)
  }

  async function sendHalves(lease: LaneLease, orders: Orders): Promise<void> {
    const middle = Math.ceil(orders.length / 2)
    for (const half of [orders.slice(0, middle), orders.slice(middle)]) {
      if (isSome(half)) await sendGroup(lease, half)
    }
  }

  async function sendOne(lease: LaneLease, order: StoredOrder): Promise<void> {
    if (await examine(lease, order)) await submit(lease, { orders: [order], data: callOf([order]).data })
  }

  /** Whether an order would open by itself. One that would not is refused for good. */
  async function examine(lease: LaneLease, order: StoredOrder): Promise<boolean> {
    const { orderId } = order
    const call = callOf([order])
    const outcome = await sender.tryCall(call.data, gasOfOne)
    if (outcome.status === 'reverted') {
      await refuse(lease, { orderId, reason: revertReason(outcome.data) })
      return false
    }
    if (call.opened(outcome.data)[0] === true) return true
    await rest(lease, [orderId]) // somebody opened it just now
    return false
  }

  async function submit(
    lease: LaneLease,
    { orders, data }: { readonly orders: Orders; readonly data: Hex },
  ): Promise<void> {
    const estimate = await sender.estimate(data)
    if (estimate.status === 'refused') {
      logger.warn({ orders: orders.length, detail: estimate.detail }, 'openings would fail now; tried again')
      await rest(lease, orders.map(idOf))
      return
    }
    const gasLimit = withMargin(estimate.gas, policy, orders.length) // Permit2's words of nonces
    if (orders.length > 1 && gasLimit > policy.maxGasPerTransaction) {
      await sendHalves(lease, orders)
      return
    }
    await outbox.submit(lease, { kind: 'open', data, gasLimit, orderIds: orders.map(idOf) })
  }

  async function refuse(
    lease: LaneLease,
    { orderId, reason }: { readonly orderId: Hex; readonly reason: string },
  ): Promise<void> {
    logger.warn({ orderId, reason }, 'the chain would not open an order')
    await store.refuse(lease, { orderId, reason })
    onRefused(orderId)
  }

  function rest(lease: LaneLease, orderIds: readonly Hex[]): Promise<void> {
    return store.postpone(lease, { orderIds, delayMs: policy.restMs })
  }

  function callOf([first, ...others]: Orders): ReturnType<typeof openingCall> {
    return openingCall([first.opening, ...others.map(({ opening }) => opening)], policy)
  }

  return { send }
}

/**
 * Orders that go into one transaction. What failed on chain before goes by itself: it may be made so that it passes every
 * simulation, and it shall not do so beside others.
 */
function openingKey({ orderId, batchKey, tries }: StoredOrder): string {
  return tries > 0 ? orderId : batchKey
}

function isSome(orders: readonly StoredOrder[]): orders is Orders {
  return orders.length > 0
}

function idOf({ orderId }: { readonly orderId: Hex }): Hex {
  return orderId
}
