import { ZeroAddress } from 'ethers'
import type { Shares } from './shares'
import type { Terms } from './typedData'

/** What a call does: events of the escrow, each in one line, or the name of the error that it reverts with. */
export type Outcome = { readonly events: readonly string[] } | { readonly error: string }

/** An event as a line, so that two lists of them compare and read well. */
export function eventLine(name: string, args: readonly unknown[]): string {
  return `${name}(${args.map(String).join(', ')})`
}

/** Thrown inside the model where a call reverts: its state is put back. */
export class Reverts extends Error {
  constructor(readonly errorName: string) {
    super(errorName)
  }
}

/** Whom the token refuses to pay, for which it gives no reason. */
export const TOKEN_REFUSES = 'no reason'

type Ledger = Map<string, bigint>

function add(ledger: Ledger, key: string, amount: bigint): void {
  ledger.set(key, (ledger.get(key) ?? 0n) + amount)
}

function take(ledger: Ledger, key: string): bigint {
  const amount = ledger.get(key) ?? 0n
  ledger.set(key, 0n)
  return amount
}

/** Credits, wallets and the events of the present call: everything of the escrow but its orders. */
export class ModelBooks {
  credits: Ledger = new Map()
  networkWith: Ledger = new Map()
  royalties: Ledger = new Map()
  /** What accounts got from the escrow, less what they gave it. */
  wallets: Ledger = new Map()
  network = 0n
  networkBps = 0n
  /** The one account that the token refuses to pay now. */
  refused = ''
  events: string[] = []

  /** A copy to go back to. */
  copy(): ModelBooks {
    const copy = new ModelBooks()
    copy.restore(this)
    return copy
  }

  restore(other: ModelBooks): void {
    this.credits = new Map(other.credits)
    this.networkWith = new Map(other.networkWith)
    this.royalties = new Map(other.royalties)
    this.wallets = new Map(other.wallets)
    this.network = other.network
    this.networkBps = other.networkBps
    this.refused = other.refused
    this.events = [...other.events]
  }

  emit(name: string, ...args: readonly unknown[]): void {
    this.events.push(eventLine(name, args))
  }

  /** Tokens come in. */
  receive(from: string, amount: bigint): void {
    add(this.wallets, from, -amount)
  }

  /** Tokens go out, or the call reverts. */
  pay(to: string, amount: bigint): void {
    if (amount === 0n) return
    if (to === this.refused) throw new Reverts(TOKEN_REFUSES)
    add(this.wallets, to, amount)
  }

  payOrCredit(id: string, account: string, amount: bigint): void {
    if (amount === 0n) return
    if (account !== this.refused) {
      add(this.wallets, account, amount)
      return
    }
    add(this.credits, account, amount)
    this.emit('TransferCredited', id, account, amount)
  }

  creditShares(terms: Terms, shares: Shares): void {
    const { node, network, facilitator, royalty } = shares
    if (node !== 0n || network !== 0n) {
      if (terms.node === ZeroAddress) this.network += network
      else {
        add(this.credits, terms.node, node)
        add(this.networkWith, terms.node, network)
      }
      this.emit('FeesCredited', terms.node, node, network)
    }
    if (facilitator !== 0n || royalty !== 0n) {
      add(this.credits, terms.facilitator, facilitator)
      add(this.royalties, terms.modelId, royalty)
      this.emit('SharesCredited', terms.facilitator, terms.modelId, facilitator, royalty)
    }
  }

  payOut(account: string, to: string): void {
    const amount = take(this.credits, account)
    const networkAmount = take(this.networkWith, account)
    if (amount === 0n && networkAmount === 0n) return
    this.network += networkAmount
    this.emit('Claimed', account, to, amount, networkAmount)
    this.pay(to, amount)
  }

  payRoyalty(modelId: string, to: string): void {
    const amount = take(this.royalties, modelId)
    if (amount === 0n) return
    this.emit('RoyaltyClaimed', modelId, to, amount)
    this.pay(to, amount)
  }

  payNetwork(to: string): void {
    const amount = this.network
    this.network = 0n
    if (amount === 0n) return
    this.emit('NetworkClaimed', to, amount)
    this.pay(to, amount)
  }

  collect(nodes: readonly string[]): void {
    for (const node of nodes) {
      const amount = take(this.networkWith, node)
      if (amount === 0n) continue
      this.network += amount
      this.emit('NetworkCollected', node, amount)
    }
  }

  /** All credits of all kinds. */
  owed(): bigint {
    return [this.credits, this.networkWith, this.royalties]
      .flatMap((ledger) => [...ledger.values()])
      .reduce((sum, amount) => sum + amount, this.network)
  }
}
