import type { Log } from 'ethers'
import type { InferenceEscrow } from '../../packages/bindings/src/generated/typechain/contracts/InferenceEscrow'

/** The escrow's balances as somebody sees them who reads its events and nothing else (E11). */
export interface Books {
  readonly network: bigint
  credit(account: string): bigint
  royalty(modelId: string): bigint
  /** What an order still holds. */
  left(orderId: string): bigint
  /** Fees released from it so far. */
  released(orderId: string): bigint
  /** What went back to its payer, as a transfer or a credit. */
  refunded(orderId: string): bigint
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

export function booksFromEvents(escrow: InferenceEscrow, logs: readonly Log[]): Books {
  const [credits, royalties, amounts, released, refunded] = [
    new Ledger(),
    new Ledger(),
    new Ledger(),
    new Ledger(),
    new Ledger(),
  ]
  let network = 0n
  for (const log of logs) {
    const event = escrow.interface.parseLog(log)
    if (event === null) throw new TypeError(`The escrow does not know its own event ${log.topics[0] ?? ''}`)
    const named: Readonly<Record<string, unknown>> = event.args.toObject()
    const key = (name: string): string => String(named[name])
    const amount = (name: string): bigint => BigInt(key(name))
    switch (event.name) {
      case 'OrderOpened':
        amounts.set(key('orderId'), amount('amount'))
        break
      case 'OrderSettled':
        released.set(key('orderId'), amount('cumulativeFee'))
        refunded.add(key('orderId'), amount('refund'))
        break
      case 'OrderReleased':
      case 'OrderReclaimed':
        refunded.add(key('orderId'), amount('refund'))
        break
      case 'FeesCredited':
        credits.add(key('node'), amount('nodeFee') - amount('claimed'))
        credits.add(key('facilitator'), amount('facilitatorFee'))
        royalties.add(key('modelId'), amount('royalty'))
        network += amount('networkFee')
        break
      case 'RefundCredited':
        credits.add(key('payer'), amount('refund'))
        break
      case 'Claimed':
        credits.add(key('account'), -amount('amount'))
        break
      case 'RoyaltyClaimed':
        royalties.add(key('modelId'), -amount('amount'))
        break
      case 'NetworkClaimed':
        network -= amount('amount')
        break
    }
  }
  return {
    network,
    credit: (account) => credits.get(account),
    royalty: (modelId) => royalties.get(modelId),
    left: (orderId) => amounts.get(orderId) - released.get(orderId) - refunded.get(orderId),
    released: (orderId) => released.get(orderId),
    refunded: (orderId) => refunded.get(orderId),
  }
}
