import { ChainUnavailableError, type Clock, type Logger, type Sender, createFollower } from '@opg/operator'
import type { Address, Hex } from '@opg/protocol'
import type { TransactionReceipt } from 'ethers'
import { type EngineChain, stepsOf } from './chain.js'
import type { EnginePolicy } from './policy.js'
import type { BlockId, EngineStore, Entry, EntryKind, LaneLease, Reading } from './store/types.js'

/** The transactions of one key: written before they are sent, sent until they are mined, booked by what the chain says. */
export interface Outbox {
  /** How many more of a kind may be sent now. */
  room(kind: EntryKind): Promise<number>
  /** Writes and sends. False, with nothing written, if its orders are not as planned any more, or if there is no room: then they rest. */
  submit(lease: LaneLease, transaction: NewTransaction): Promise<boolean>
  /** Looks after all that are on their way: books, sends again, replaces. */
  follow(lease: LaneLease): Promise<void>
  /** Takes back what a reorg has taken out of the chain; `follow` then sends it again. */
  checkReorgs(lease: LaneLease, latest: number): Promise<void>
  /** Reads orders, as deep as the policy asks for, and books what the chain says. */
  reread(lease: LaneLease, orderIds: readonly Hex[]): Promise<readonly Reading[]>
}

export interface NewTransaction {
  readonly kind: EntryKind
  readonly data: Hex
  readonly gasLimit: bigint
  readonly orderIds: readonly Hex[]
}

export interface OutboxDependencies {
  readonly store: EngineStore
  readonly chain: EngineChain
  readonly sender: Sender
  readonly policy: EnginePolicy
  readonly clock: Clock
  readonly logger: Logger
  /** Told of orders that were booked. */
  readonly onBooked: (orderIds: readonly Hex[]) => void
}

/** A part of what may be pending: so much neither openings nor closings take of each other. */
const KEPT_FOR_OTHERS = 4

export function createOutbox(dependencies: OutboxDependencies): Outbox {
  const { store, chain, sender, policy, clock, logger, onBooked } = dependencies
  const follower = createFollower({ sender, policy, clock, logger })
  const escrow: Address = sender.to

  /** Neither what opens nor what closes takes all of it: whoever floods one side does not hold up the other. */
  async function room(kind: EntryKind): Promise<number> {
    const { maxPending } = policy
    const pending = await store.pendingEntries(sender.from)
    const alike = pending.filter((entry) => (entry.kind === 'open') === (kind === 'open'))
    const most = Math.max(1, maxPending - Math.ceil(maxPending / KEPT_FOR_OTHERS))
    return Math.max(0, Math.min(maxPending - pending.length, most - alike.length))
  }

  async function submit(lease: LaneLease, transaction: NewTransaction): Promise<boolean> {
    const { kind, data, gasLimit, orderIds } = transaction
    if ((await room(kind)) === 0) {
      await store.postpone(lease, { orderIds, delayMs: policy.restMs })
      return false
    }
    const nonce = await nextNonce()
    const attempt = await follower.sign({ nonce, data, gasLimit })
    // On the disk before it is on the wire: whatever happens now, it is this transaction that is sent again.
    const entry = await store.recordEntry(lease, { kind, nonce, data, gasLimit, orderIds, attempt })
    if (entry === undefined) return false
    await follower.broadcast(entry)
    return true
  }

  /** The pool's count, unless the RPC lags behind the books. */
  async function nextNonce(): Promise<number> {
    const { number } = await sender.latestBlock()
    const [pooled, highest] = await Promise.all([
      sender.nextNonce(),
      store.highestNonce(sender.from, Math.max(0, number - policy.reorgDepth)),
    ])
    return Math.max(pooled, (highest ?? -1) + 1)
  }

  async function follow(lease: LaneLease): Promise<void> {
    for (const entry of await store.pendingEntries(sender.from)) await followOne(lease, entry)
  }

  async function followOne(lease: LaneLease, entry: Entry): Promise<void> {
    const { id, kind, nonce, orderIds } = entry
    const found = await follower.look(entry, (attempt) => store.recordAttempt(lease, { id, attempt }))
    if (found.status === 'pending') return
    const receipt = found.status === 'mined' ? found.receipt : undefined
    const readings = await readDeep(orderIds, receipt)
    const block = receipt === undefined ? undefined : blockOf(receipt)
    await store.book(lease, { id, block, readings, maxTries: policy.maxTries })
    const moved = readings.filter(({ chain: state }) => state === (kind === 'open' ? 'open' : 'closed')).length
    const fields = { kind, nonce, hash: receipt?.hash, block: block?.number, orders: orderIds.length, moved }
    if (moved === orderIds.length) logger.info(fields, 'transaction booked')
    else logger.warn(fields, 'transaction booked; it did not do all that it should')
    onBooked(orderIds)
  }

  /** The state of orders, as deep as the policy asks for, and what a transaction of ours has to do with it. */
  async function readDeep(orderIds: readonly Hex[], receipt?: TransactionReceipt): Promise<readonly Reading[]> {
    const number = Math.max(0, (await sender.latestBlock()).number - (policy.confirmations - 1))
    const [hash, orders] = await Promise.all([sender.blockHash(number), chain.read(orderIds, number)])
    if (hash === undefined) throw new ChainUnavailableError('eth_getBlockByNumber')
    const steps = receipt === undefined ? undefined : stepsOf(receipt, escrow)
    return Promise.all(
      orders.map(async (order): Promise<Reading> => {
        const own = steps?.get(order.orderId)
        // An opening of ours may be read only when the order is closed already.
        if (own !== undefined && own.isOpening === (order.chain === 'open')) return { ...order, ...own }
        // By others: how it ended, events alone say.
        const step = order.chain === 'closed' ? await chain.lastStep(order.orderId, number) : undefined
        return { ...order, block: { number, hash }, ...step }
      }),
    )
  }

  async function reread(lease: LaneLease, orderIds: readonly Hex[]): Promise<readonly Reading[]> {
    if (orderIds.length === 0) return []
    const readings = await readDeep(orderIds)
    await store.note(lease, readings)
    onBooked(orderIds)
    return readings
  }

  async function checkReorgs(lease: LaneLease, latest: number): Promise<void> {
    for (const block of await store.bookedBlocks(Math.max(0, latest - policy.reorgDepth))) {
      // What stands below a block that stands, stands.
      if ((await sender.blockHash(block.number)) === block.hash) return
      logger.warn({ block: block.number }, 'a reorg took a block with booked transactions')
      await reread(lease, await store.unbook(lease, block))
    }
  }

  return {
    room,
    submit,
    follow,
    checkReorgs,
    reread,
  }
}

function blockOf(receipt: TransactionReceipt): BlockId {
  return { number: receipt.blockNumber, hash: receipt.blockHash as Hex }
}
