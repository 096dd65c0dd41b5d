import { ChainUnavailableError, type Clock, type Logger } from '@opg/operator'
import { type Hex, type Terms, InvalidInputError, allocationId, orderId, sliceId, termsHash } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import type { OrderAdmission, Refusal } from '../service/types.js'
import { freeOf } from '../store/orderRows.js'
import { type ReservedSlice, amountOf } from '../store/reservedSlice.js'
import type { NodeStore, OrderSnapshot, StoredOrder } from '../store/types.js'
import { type OrderInput, parseOrderInput } from './orderInput.js'
import { type GatePolicy, refusalByShares, refusalByTerms } from './policy.js'
import { refuse, refuseInput } from './refusal.js'

/** Decides which orders get work. */
export interface OrderGate {
  admit(input: unknown): Promise<OrderAdmission>
  /** The order with what the chain says of it, no older than the policy allows; or why it gets no work. */
  current(order: StoredOrder): Promise<StoredOrder | Refusal>
  /** Whether it gets work without asking the chain again. */
  isCurrent(order: StoredOrder): boolean
}

export interface GateDependencies {
  readonly policy: GatePolicy
  readonly store: NodeStore
  readonly chain: EscrowReader
  readonly clock: Clock
  readonly logger: Logger
}

export function createOrderGate({ policy, store, chain, clock, logger }: GateDependencies): OrderGate {
  const knownCode = new Set<string>()
  const refreshing = new Map<Hex, Promise<StoredOrder | Refusal>>()

  async function refusalByCode(terms: Terms): Promise<Refusal | undefined> {
    if (knownCode.has(terms.verifier)) return undefined
    const expected = policy.verifiers.find(({ address }) => address === terms.verifier)?.codeHash
    const found = await chain.codeHash(terms.verifier)
    if (expected === undefined || found !== expected) {
      return refuse('wrong-verifier', `The code at verifier ${terms.verifier} is not the one that this node knows.`)
    }
    knownCode.add(terms.verifier) // code without a way to change stays
    return undefined
  }

  async function admitParsed(input: OrderInput): Promise<OrderAdmission> {
    const { terms, order } = input
    const nowSeconds = Math.floor(clock() / 1000)
    const unfit = refusalByTerms(policy, { input, nowSeconds }) ?? (await refusalByCode(terms))
    if (unfit !== undefined) return unfit

    const { id, slice } = identify(input)
    const snapshot = await chain.snapshot({ orderId: id, slice })
    const known = await store.order(id)
    const amount = amountOf(input)
    if (known === undefined) {
      const refusal = refusalBySnapshot({ id, terms, amount, snapshot })
      if (refusal !== undefined) return refusal
    }
    const stored = await store.putOrder({ orderId: id, termsHash: termsHash(terms), terms, order, slice, snapshot })
    const refusal = refusalByState(stored) ?? refusalBySnapshot({ id, terms, amount, snapshot, known })
    if (refusal !== undefined) return refusal
    if (known === undefined) {
      logger.info({ orderId: id, amount: amount.toString(), slice: slice?.slice.index }, 'order admitted')
    }
    return { status: 'admitted', orderId: id, amount, held: freeOf(stored), claimBy: order.claimBy }
  }

  /** A slice's id stands for it everywhere, as an order's does. */
  function identify({ terms, order, slice }: OrderInput): { readonly id: Hex; readonly slice?: ReservedSlice } {
    const id = orderId({ seed: chain.seed, terms, order })
    if (slice === undefined) return { id }
    const allocation = allocationId(id, slice.allocation)
    return {
      id: sliceId(allocation, slice.slice.index),
      slice: { routedId: id, allocationId: allocation, ...slice },
    }
  }

  function refusalBySnapshot(input: {
    readonly id: Hex
    readonly terms: Terms
    /** What it should hold. */
    readonly amount: bigint
    readonly snapshot: OrderSnapshot
    readonly known?: StoredOrder | undefined
  }): Refusal | undefined {
    const { id, terms, amount, snapshot, known } = input
    if (snapshot.state === 'missing') {
      return refuse(
        'order-not-open',
        `Order ${id} is not open on chain ${chain.chainId.toString()} yet. Open it first; a slice is to be allocated, too.`,
      )
    }
    if (snapshot.state === 'closed') return refuse('order-closed', `Order ${id} is closed on chain. Open a new order.`)
    if (snapshot.amount !== amount) {
      return refuse(
        'order-not-open',
        `Order ${id} locks ${snapshot.amount.toString()} base units on chain, and not ${amount.toString()}.`,
      )
    }
    if (known === undefined && snapshot.released > 0n) {
      // Its receipts are in other books: new ones would begin again below what was paid, and never be paid.
      return refuse('books-behind', `Order ${id} was settled from other books than these. Open a new order.`)
    }
    return refusalByShares(policy, {
      networkBps: snapshot.networkBps,
      royaltyBps: snapshot.royaltyBps,
      facilitatorBps: terms.facilitatorBps,
    })
  }

  async function refresh(order: StoredOrder): Promise<StoredOrder | Refusal> {
    const fresh = await store.noteSnapshot(order.orderId, await chain.snapshot(order))
    return fresh ?? refuse('order-unknown', `Order ${order.orderId} is not known here.`)
  }

  const isFresh = (order: StoredOrder): boolean => clock() - order.checkedAtMs < policy.refreshAfterMs

  return {
    isCurrent: (order) => isFresh(order) && refusalByState(order) === undefined,
    admit: (input) => answering('admitting an order', logger, () => admitParsed(parseOrderInput(input))),
    current: async (order) => {
      let current = order
      if (!isFresh(order)) {
        const running = refreshing.get(order.orderId) ?? answering('reading an order', logger, () => refresh(order))
        refreshing.set(order.orderId, running)
        const fresh = await running.finally(() => refreshing.delete(order.orderId))
        if ('status' in fresh) return fresh
        current = fresh
      }
      return refusalByState(current) ?? current
    },
  }
}

/** What the node's own books say of an order. */
export function refusalByState(order: StoredOrder): Refusal | undefined {
  const { orderId: id } = order
  if (order.closing !== undefined) {
    return refuse('order-closing', `Order ${id} is being closed (${order.closing}). Open a new order.`)
  }
  if (order.chain === 'closed') return refuse('order-closed', `Order ${id} is closed on chain. Open a new order.`)
  if (order.chain === 'missing') {
    return refuse('order-not-open', `The chain does not know order ${id} any more. Open it again.`)
  }
  if (order.blocked !== undefined) {
    return refuse('order-not-open', `The escrow does not settle order ${id}: ${order.blocked}. Open a new order.`)
  }
  return undefined
}

/** Turns malformed input and a silent chain into refusals; anything else is a broken environment. */
export async function answering<T>(
  operation: string,
  logger: Logger,
  work: () => T | Promise<T>,
): Promise<Awaited<T> | Refusal> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof InvalidInputError) return refuseInput(error)
    if (error instanceof ChainUnavailableError) {
      logger.warn({ operation, rpc: error.operation }, 'the chain did not answer')
      return refuse('unavailable', 'The chain could not be asked just now, so nothing was decided. Try again soon.')
    }
    throw error
  }
}
