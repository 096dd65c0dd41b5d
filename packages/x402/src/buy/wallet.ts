import { IERC20Metadata__factory } from '@opg/bindings'
import { approvePermit2, fetchSettlements, orderStatus } from '@opg/payer'
import { type Address, PERMIT2, parseAddress } from '@opg/protocol'
import { type Signer, hexlify, toBigInt } from 'ethers'
import { FundsMissingError, SpendLimitError } from './errors.js'
import type { Authorization, Ledger, Limits } from './ledger.js'
import type { Market } from './market.js'

const NONCES_IN_A_WORD = 256n

export interface WalletOptions {
  readonly signer: Signer
  readonly market: Market
  readonly ledger: Ledger
  readonly limits: Limits & { readonly maxPerRequest: bigint }
  /** Approves Permit2 by a transaction where that is missing. */
  readonly approve: boolean
  /** The clock, in Unix seconds. */
  readonly now: () => number
  readonly random: (bytes: number) => Uint8Array
}

/** The payer's account under the spender's limits: nothing is signed that was not written down in the ledger first. */
export class SpendingWallet {
  readonly signer: Signer
  readonly market: Market
  readonly address: Address
  readonly #options: WalletOptions
  #nonce: bigint

  private constructor(options: WalletOptions, address: Address) {
    this.signer = options.signer
    this.market = options.market
    this.address = address
    this.#options = options
    // A word of Permit2's nonces that nobody else uses: several processes need not agree, and 256 orders share it.
    this.#nonce = toBigInt(hexlify(options.random(31))) * NONCES_IN_A_WORD
  }

  static async open(options: WalletOptions): Promise<SpendingWallet> {
    return new SpendingWallet(options, parseAddress(await options.signer.getAddress(), 'signer'))
  }

  /** The clock, in Unix seconds. */
  now(): number {
    return this.#options.now()
  }

  /** Permit2's, each once. */
  nextNonce(): bigint {
    return this.#nonce++
  }

  /** @throws {SpendLimitError} if a request may cost more than the spender allows for one */
  checkRequest(host: string, amount: bigint): void {
    const { maxPerRequest } = this.#options.limits
    if (amount > maxPerRequest)
      throw new SpendLimitError({ limit: 'request', host, left: maxPerRequest, needed: amount })
  }

  /**
   * Writes an authorization down and signs it. Where a limit is in the way, the chain is asked first what came back of
   * earlier ones.
   *
   * @throws {SpendLimitError} {@link FundsMissingError} {@link ChainUnavailableError}
   */
  async authorize<T>(input: Authorization, sign: () => Promise<T>): Promise<T> {
    const { ledger, limits } = this.#options
    const { host, orderId, order } = input
    await this.#checkFunds(order.amount)
    let outcome = await ledger.authorize(input, { limits, now: this.now() })
    if (outcome.status === 'refused') {
      await this.reconcile()
      outcome = await ledger.authorize(input, { limits, now: this.now() })
    }
    if (outcome.status === 'refused') {
      throw new SpendLimitError({ limit: outcome.limit, host, left: outcome.left, needed: order.amount })
    }
    try {
      return await sign()
    } catch (error) {
      await ledger.forget(orderId)
      throw error
    }
  }

  /** Asks the chain how orders ended, so that what came back counts no more. @throws {ChainUnavailableError} */
  async reconcile(): Promise<void> {
    const { ledger, market } = this.#options
    for (const authorization of await ledger.unfinished()) {
      const spent = await this.#spentOf(authorization, market)
      if (spent !== undefined) await ledger.finish(authorization.orderId, spent)
    }
  }

  /** Base units that an order has cost, once nothing more can happen to it. */
  async #spentOf(authorization: Authorization, { provider, escrow }: Market): Promise<bigint | undefined> {
    const { orderId, terms, order, deadline, fromBlock } = authorization
    const { status } = await orderStatus(provider, { escrow, terms, order })
    if (status === 'unknown') return this.now() > Math.max(deadline, order.claimBy) ? 0n : undefined
    if (status !== 'closed') return undefined
    const settlements = await fetchSettlements(provider, { escrow, orderId, fromBlock })
    return settlements.at(-1)?.cumulativeFee ?? 0n
  }

  async #checkFunds(needed: bigint): Promise<void> {
    const { market, approve, signer } = this.#options
    const token = IERC20Metadata__factory.connect(market.escrow.token, market.provider)
    const [balance, allowance] = await Promise.all([
      token.balanceOf(this.address),
      token.allowance(this.address, PERMIT2),
    ])
    if (balance < needed) throw new FundsMissingError({ missing: 'balance', payer: this.address, has: balance, needed })
    if (allowance >= needed) return
    if (!approve) throw new FundsMissingError({ missing: 'allowance', payer: this.address, has: allowance, needed })
    await approvePermit2(signer, { token: market.escrow.token })
  }
}
