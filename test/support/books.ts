import type { Log } from 'ethers'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'
import { sliceIdOf } from './slices'

/** The escrow's balances as somebody sees them who reads its events and nothing else (E11). */
export interface Books {
  /** What the network's recipient can claim. */
  readonly network: bigint
  /** The network's share of orders that open now. */
  readonly networkBps: bigint
  credit(account: string): bigint
  /** What the network has earned through a node, and nobody collected. */
  networkWith(node: string): bigint
  royalty(modelId: string): bigint
  /** What an order still holds, for slices or otherwise. */
  left(orderId: string): bigint
  /** What of it slices hold that are not settled. Meaningless once the order is closed. */
  reserved(orderId: string): bigint
  /** Fees released from it so far. */
  released(orderId: string): bigint
  /** What went back to its payer, as a transfer or a credit. */
  refunded(orderId: string): bigint
  /** Slices of an allocation that are not settled, as a bitmap. */
  unsettled(allocationId: string): bigint
}

class Ledger {
  readonly #amounts = new Map<string, bigint>()

  get(key: string): bigint {
    return this.#amounts.get(key) ?? 0n
  }

  set(key: string, amount: bigint): void {
    this.#amounts.set(key, amount)
  }

  add(key: string, amount: bigint): void {
    this.set(key, this.get(key) + amount)
  }
}

interface KnownSlice {
  readonly allocationId: string
  readonly index: number
  readonly cap: bigint
}

/** Reads one event after the other. */
class Reader {
  readonly credits = new Ledger()
  readonly networkWith = new Ledger()
  readonly royalties = new Ledger()
  readonly amounts = new Ledger()
  readonly reserved = new Ledger()
  readonly released = new Ledger()
  readonly refunded = new Ledger()
  readonly unsettled = new Ledger()
  readonly #slices = new Map<string, KnownSlice>()
  network = 0n
  networkBps = 0n

  read(name: string, named: Readonly<Record<string, unknown>>): void {
    const key = (member: string): string => String(named[member])
    const amount = (member: string): bigint => BigInt(key(member))
    switch (name) {
      case 'OrderOpened':
        this.amounts.set(key('orderId'), amount('amount'))
        break
      case 'OrderSettled':
        this.released.set(key('orderId'), amount('cumulativeFee'))
        this.refunded.add(key('orderId'), amount('refund'))
        break
      case 'OrderReleased':
      case 'OrderReclaimed':
        this.refunded.add(key('orderId'), amount('refund'))
        break
      case 'SlicesAllocated':
        this.#allocate(key('orderId'), key('allocationId'), { count: amount('count'), cap: amount('cap') })
        break
      case 'SliceSettled':
        this.#settleSlice(key('orderId'), key('sliceId'), amount('fee'))
        break
      case 'FeesCredited':
        this.credits.add(key('node'), amount('nodeFee'))
        if (BigInt(key('node')) === 0n) this.network += amount('networkFee')
        else this.networkWith.add(key('node'), amount('networkFee'))
        break
      case 'SharesCredited':
        this.credits.add(key('facilitator'), amount('facilitatorFee'))
        this.royalties.add(key('modelId'), amount('royalty'))
        break
      case 'TransferCredited':
        this.credits.add(key('account'), amount('amount'))
        break
      case 'Claimed':
        this.credits.add(key('account'), -amount('amount'))
        this.#collect(key('account'), amount('networkAmount'))
        break
      case 'NetworkCollected':
        this.#collect(key('node'), amount('amount'))
        break
      case 'RoyaltyClaimed':
        this.royalties.add(key('modelId'), -amount('amount'))
        break
      case 'NetworkClaimed':
        this.network -= amount('amount')
        break
      case 'NetworkBpsSynced':
        this.networkBps = amount('networkBps')
        break
    }
  }

  #allocate(orderId: string, allocationId: string, { count, cap }: { count: bigint; cap: bigint }): void {
    this.reserved.add(orderId, count * cap)
    this.unsettled.set(allocationId, (1n << count) - 1n)
    for (let index = 0; index < Number(count); index++)
      this.#slices.set(sliceIdOf(allocationId, index), { allocationId, index, cap })
  }

  #settleSlice(orderId: string, sliceId: string, fee: bigint): void {
    const slice = this.#slices.get(sliceId)
    if (slice === undefined) throw new TypeError(`The slice ${sliceId} was settled and never allocated`)
    this.#slices.delete(sliceId)
    this.reserved.add(orderId, -slice.cap)
    this.released.add(orderId, fee)
    this.unsettled.add(slice.allocationId, -(1n << BigInt(slice.index)))
  }

  #collect(node: string, amount: bigint): void {
    this.networkWith.add(node, -amount)
    this.network += amount
  }
}

/** Keeps books as events come in. */
export class BookKeeper {
  readonly #reader = new Reader()

  constructor(private readonly escrow: Pick<InferenceEscrow, 'interface'>) {}

  read(logs: readonly Log[]): void {
    for (const log of logs) {
      const event = this.escrow.interface.parseLog(log)
      if (event === null) throw new TypeError(`The escrow does not know its own event ${log.topics[0] ?? ''}`)
      this.#reader.read(event.name, event.args.toObject())
    }
  }

  /** The books as they are now. */
  books(): Books {
    const reader = this.#reader
    const { amounts, released, refunded } = reader
    return {
      network: reader.network,
      networkBps: reader.networkBps,
      credit: (account) => reader.credits.get(account),
      networkWith: (node) => reader.networkWith.get(node),
      royalty: (modelId) => reader.royalties.get(modelId),
      left: (orderId) => amounts.get(orderId) - released.get(orderId) - refunded.get(orderId),
      reserved: (orderId) => reader.reserved.get(orderId),
      released: (orderId) => released.get(orderId),
      refunded: (orderId) => refunded.get(orderId),
      unsettled: (allocationId) => reader.unsettled.get(allocationId),
    }
  }
}
