import { NETWORK_BPS, ROYALTY_BPS, type Order, type SettleRow } from './fixture'
import { sharesOfCall, type Step } from './shares'

interface ModelOrder {
  readonly order: Order
  readonly networkBps: bigint
  readonly royaltyBps: bigint
  released: bigint
  open: boolean
}

/** What the escrow owes, in as few words as possible: orders, credits, and the rules that move money between them. */
export class EscrowModel {
  readonly #orders = new Map<string, ModelOrder>()
  readonly #credits = new Map<string, bigint>()
  #rates = { networkBps: NETWORK_BPS, royaltyBps: ROYALTY_BPS }
  royalty = 0n
  network = 0n

  constructor(
    private readonly terms: { readonly node: string; readonly facilitator: string; readonly facilitatorBps: bigint },
  ) {}

  reprice(networkBps: bigint, royaltyBps: bigint): void {
    this.#rates = { networkBps, royaltyBps }
  }

  open(id: string, order: Order): void {
    this.#orders.set(id, { order, ...this.#rates, released: 0n, open: true })
  }

  settle(rows: readonly (SettleRow & { readonly id: string })[], now: bigint): void {
    const steps: Step[] = []
    for (const { id, cumulativeFee, close } of rows) {
      const entry = this.#orders.get(id)
      if (entry === undefined || !this.#takes(entry, cumulativeFee, close, now)) continue
      const { networkBps, royaltyBps } = entry
      steps.push({ before: entry.released, cumulativeFee, networkBps, royaltyBps })
      entry.released = cumulativeFee
      if (close) entry.open = false
    }
    const shares = sharesOfCall(steps, this.terms.facilitatorBps)
    this.#add(this.terms.node, shares.node)
    this.#add(this.terms.facilitator, shares.facilitator)
    this.royalty += shares.royalty
    this.network += shares.network
  }

  close(id: string): void {
    const entry = this.#orders.get(id)
    if (entry !== undefined) entry.open = false
  }

  claim(account: string): void {
    this.#credits.delete(account)
  }

  claimRoyalty(): void {
    this.royalty = 0n
  }

  claimNetwork(): void {
    this.network = 0n
  }

  isOpen(id: string): boolean {
    return this.#orders.get(id)?.open === true
  }

  released(id: string): bigint {
    return this.#orders.get(id)?.released ?? 0n
  }

  left(id: string): bigint {
    const entry = this.#orders.get(id)
    return entry?.open === true ? entry.order.amount - entry.released : 0n
  }

  credit(account: string): bigint {
    return this.#credits.get(account) ?? 0n
  }

  /** What all open orders have left, and all credits: the balance that E1 asks for. */
  owed(): bigint {
    const locked = [...this.#orders.keys()].reduce((sum, id) => sum + this.left(id), 0n)
    return [...this.#credits.values()].reduce((sum, credit) => sum + credit, locked) + this.royalty + this.network
  }

  #takes(entry: ModelOrder, cumulativeFee: bigint, close: boolean, now: bigint): boolean {
    const { order, released, open } = entry
    if (!open || now >= order.claimBy || cumulativeFee > order.amount) return false
    if (cumulativeFee < released || (cumulativeFee === released && !close)) return false
    return BigInt(order.job.requestHash) === 0n || close
  }

  #add(account: string, amount: bigint): void {
    this.#credits.set(account, this.credit(account) + amount)
  }
}
