import type { Clock, EscrowReader, Logger, RandomBytes, Sleep } from '@opg/node'
import {
  MAX_CLAIM_WINDOW_SECONDS,
  toWire,
  type CaptureStep,
  type Hex,
  type LockStep,
  type SettledExtra,
} from '@opg/protocol'
import type { FacilitatorClient } from '@x402/core/server'
import type { PaymentPayload, PaymentRequirements, SettleResponse } from '@x402/core/types'
import { confirmOpen } from './confirmOpen.js'
import { SaleRefusedError } from './errors.js'
import type { EvidenceMaker } from './evidence.js'
import { askFacilitator, type Told } from './facilitator.js'
import type { SignStruct } from './nodeKey.js'
import type { Offered } from './offered.js'
import type { Outbox } from './outbox.js'
import { conclude, release, type Conclusion, type Delivery } from './receipt.js'
import { readBid, type Bid, type Sale } from './sale.js'

export interface SalesOptions {
  readonly offered: Offered
  /** The node's own key, which asks for locks. */
  readonly sign: SignStruct
  readonly evidence: EvidenceMaker
  readonly reader: Pick<EscrowReader, 'snapshot'>
  readonly facilitator: Pick<FacilitatorClient, 'settle'>
  readonly outbox: Outbox
  readonly now: Clock
  readonly randomBytes: RandomBytes
  readonly sleep: Sleep
  readonly logger: Logger
  readonly limits: SaleLimits
}

/** How long a seller waits for others, in milliseconds. */
export interface SaleLimits {
  /** For the facilitator to lock. A lock that comes later is given back. */
  readonly lockTimeoutMs: number
  /** For the chain to confirm what the facilitator said. */
  readonly confirmTimeoutMs: number
  /** For the facilitator to take a capture, before the answer leaves with the capture still in the outbox. */
  readonly captureWaitMs: number
  /**
   * For the handler. A stock server does not say that its handler hung, or that its answer broke: then the order is given
   * back, and an answer that comes all the same is refused.
   */
  readonly answerTimeoutMs: number
  /** What must be left until `claimBy` for a capture to be worth an answer. */
  readonly claimMarginMs: number
}

/** The longest that a timer of Node.js takes. */
const MAX_TIMER_MS = 2 ** 31 - 1
/** A stream is cut off so long before its capture would come too late. */
const CAPTURE_SPARE_MS = 5_000
/** Orders that are remembered before those whose time is over are looked for. */
const CLEAR_OUT_FROM = 1_000

interface OpenSale {
  readonly sale: Sale
  /** Milliseconds since 1970. */
  readonly until: number
  readonly timer: NodeJS.Timeout
  isLate: boolean
}

/** Locks, captures and releases the orders of one offer. */
export class Sales {
  readonly #options: SalesOptions
  readonly #open = new WeakMap<PaymentPayload, OpenSale>()
  /** Orders that this process tries or tried to lock, with their `claimBy`: each is for one attempt. */
  readonly #tried = new Map<Hex, number>()
  #clearOutAt = CLEAR_OUT_FROM

  constructor(options: SalesOptions) {
    this.#options = options
  }

  /**
   * Locks the order of a payment for this one call, and waits until the chain has it.
   *
   * @throws {SaleRefusedError} if nothing may be computed for it. What may be locked all the same is given back.
   */
  async lock(payment: PaymentPayload, requirements: PaymentRequirements): Promise<SettleResponse> {
    const read = readBid(this.#options.offered, { payment, requirements })
    if (read.status === 'refused') throw new SaleRefusedError(read.reason, read.message)
    const { bid } = read
    this.#reserve(bid)
    let isLockPossible = false
    try {
      const sale = { ...bid, lock: await this.#attempt(bid.orderId) }
      await this.#options.outbox.begin({ ...entryOf(sale), step: sale.lock })
      isLockPossible = true
      const told = await this.#ask(sale)
      if (told.status !== 'done' || told.state !== 'locked') return await this.#giveUp(sale, told)
      const { limits, now, sleep, reader } = this.#options
      const confirmed = await confirmOpen(reader, sale, { timeoutMs: limits.confirmTimeoutMs, now, sleep })
      if (confirmed.status === 'refused') return await this.#giveUp(sale, { ...confirmed, status: 'unknown' })
      this.#await(payment, sale)
      return this.#answer(sale, { transaction: told.transaction, amount: bid.order.amount, state: 'locked' })
    } catch (error) {
      if (!isLockPossible) this.#tried.delete(bid.orderId)
      throw error
    }
  }

  /** The order that was locked for this payment and is neither captured nor released. */
  saleOf(payment: PaymentPayload): Sale | undefined {
    const open = this.#open.get(payment)
    return open?.isLate === false ? open.sale : undefined
  }

  /** How long the answer to a payment may take from now on, with time left to capture it. */
  remainingMs(payment: PaymentPayload): number {
    return Math.max(0, (this.#open.get(payment)?.until ?? 0) - CAPTURE_SPARE_MS - this.#options.now())
  }

  /**
   * Takes the fee of an answer and makes its receipt. The answer may leave once this resolves.
   *
   * @throws {SaleRefusedError} if the answer must not leave; the order is given back
   */
  async capture(payment: PaymentPayload, delivery: Omit<Delivery, 'timestamp'>): Promise<SettleResponse> {
    const { now, limits, outbox } = this.#options
    const sale = this.#take(payment)
    if (now() >= sale.order.claimBy * 1_000 - limits.claimMarginMs) {
      await this.#release(sale)
      throw tooLate()
    }
    const { receipt, step } = await this.#conclude(sale, { ...delivery, timestamp: Math.floor(now() / 1_000) })
    const requirements = { ...sale.requirements, amount: delivery.fee.toString() }
    const told = await outbox.deliver({ ...entryOf(sale), requirements, step }, limits.captureWaitMs)
    if (told.status === 'refused') {
      await this.#release(sale)
      throw new SaleRefusedError(told.reason, told.message)
    }
    const { transaction, state } = told.status === 'done' ? told : ({ transaction: '', state: 'queued' } as const)
    const answer = this.#answer(sale, { transaction, amount: delivery.fee, state })
    return { ...answer, extra: { opg: { orderId: sale.orderId, state, receipt: toWire(receipt) } } }
  }

  /** Gives the order of a payment back, whatever the facilitator does now. */
  async release(payment: PaymentPayload): Promise<SettleResponse> {
    const sale = this.#take(payment)
    const told = await this.#release(sale)
    const { transaction, state } = told.status === 'done' ? told : ({ transaction: '', state: 'queued' } as const)
    return this.#answer(sale, { transaction, amount: 0n, state })
  }

  async #conclude(sale: Sale, delivery: Delivery): Promise<Conclusion> {
    try {
      return await conclude(sale, delivery, this.#options)
    } catch (error) {
      await this.#releaseOnceSigned(sale)
      throw error
    }
  }

  async #release(sale: Sale): Promise<Told> {
    const { outbox, limits, evidence, logger } = this.#options
    let step: CaptureStep
    try {
      step = await release(sale.orderId, evidence)
    } catch (error) {
      const reason = error instanceof Error ? error.message : 'unknown'
      logger.warn({ orderId: sale.orderId, reason }, 'a release could not be signed yet; trying again')
      return await this.#releaseOnceSigned(sale)
    }
    const requirements = { ...sale.requirements, amount: '0' }
    return await outbox.deliver({ ...entryOf(sale), requirements, step }, limits.captureWaitMs)
  }

  /** Without evidence there is neither a fee nor a release yet: the outbox gives the order back once there is. */
  async #releaseOnceSigned(sale: Sale): Promise<Told> {
    return await this.#options.outbox.deliver({ ...entryOf(sale), step: sale.lock }, 0)
  }

  /** Ends an attempt that did not come to a confirmed lock. */
  async #giveUp(sale: Sale, told: Told): Promise<never> {
    const { outbox, logger } = this.#options
    if (told.status === 'refused' || told.status === 'unsent') {
      await outbox.forget(sale.orderId)
      this.#tried.delete(sale.orderId)
      throw new SaleRefusedError(told.reason, told.message)
    }
    const why = told.status === 'done' ? { reason: 'lock_unconfirmed', message: `It is ${told.state}.` } : told
    logger.warn({ orderId: sale.orderId, reason: why.reason }, 'a lock was not confirmed, and is given up')
    // Asked again under the same attempt: only if it is this attempt's is the order released.
    await outbox.deliver({ ...entryOf(sale), step: sale.lock }, 0)
    throw new SaleRefusedError(why.reason, why.message)
  }

  /** A payment that is sent twice runs once: the second does not even reach the facilitator from here. */
  #reserve({ orderId, order }: Bid): void {
    const nowSeconds = Math.floor(this.#options.now() / 1_000)
    if (this.#tried.has(orderId)) {
      const message = `Order ${orderId} was paid for another request. Sign a new payment.`
      throw new SaleRefusedError('payment_already_used', message)
    }
    const latest = nowSeconds + MAX_CLAIM_WINDOW_SECONDS
    if (order.claimBy <= nowSeconds || order.claimBy > latest) {
      const message = `The order would end at ${String(order.claimBy)}, and must end after ${String(nowSeconds)} and until ${String(latest)}. Sign a payment with another deadline.`
      throw new SaleRefusedError('claim_by_out_of_range', message)
    }
    if (this.#tried.size >= this.#clearOutAt) {
      for (const [known, claimBy] of this.#tried) if (claimBy <= nowSeconds) this.#tried.delete(known)
      this.#clearOutAt = Math.max(CLEAR_OUT_FROM, 2 * this.#tried.size)
    }
    this.#tried.set(orderId, order.claimBy)
  }

  async #attempt(orderId: Hex): Promise<LockStep> {
    const { randomBytes, sign } = this.#options
    const attempt: Hex = `0x${Buffer.from(randomBytes(32)).toString('hex')}`
    return { phase: 'lock', attempt, signature: await sign('LockAttempt', { orderId, attempt }) }
  }

  async #ask({ orderId, payment, requirements, lock }: Sale): Promise<Told> {
    const { facilitator, limits } = this.#options
    const asked = { orderId, payment, requirements, step: lock, timeoutMs: limits.lockTimeoutMs }
    return await askFacilitator(facilitator, asked)
  }

  /** From now on there is an answer to wait for. */
  #await(payment: PaymentPayload, sale: Sale): void {
    const { now, limits, logger } = this.#options
    const timeoutMs = Math.min(limits.answerTimeoutMs, MAX_TIMER_MS)
    const until = Math.min(now() + timeoutMs, sale.order.claimBy * 1_000 - limits.claimMarginMs)
    const giveUp = (): void => {
      open.isLate = true
      logger.warn({ orderId: sale.orderId }, 'no answer came in time, and the order is given back')
      this.#release(sale).catch((error: unknown) => {
        const reason = error instanceof Error ? error.message : 'unknown'
        logger.error({ orderId: sale.orderId, reason }, 'the release of an order was not kept')
      })
    }
    const timer = setTimeout(giveUp, Math.max(0, until - now())).unref()
    const open: OpenSale = { sale, until, timer, isLate: false }
    this.#open.set(payment, open)
  }

  #take(payment: PaymentPayload): Sale {
    const open = this.#open.get(payment)
    this.#open.delete(payment)
    if (open === undefined) {
      throw new SaleRefusedError('lock_missing', 'Nothing is locked for this request, or it was concluded already.')
    }
    clearTimeout(open.timer)
    if (open.isLate) throw tooLate()
    return open.sale
  }

  #answer(
    { orderId, order }: Sale,
    done: { readonly transaction: string; readonly amount: bigint; readonly state: SettledExtra['state'] },
  ): SettleResponse {
    const { transaction, amount, state } = done
    return {
      success: true,
      transaction,
      network: this.#options.offered.network,
      payer: order.payer,
      amount: amount.toString(),
      extra: { opg: { orderId, state } },
    }
  }
}

function tooLate(): SaleRefusedError {
  return new SaleRefusedError(
    'answer_too_late',
    'The answer took too long. The order was given back: nothing was charged.',
  )
}

function entryOf({ orderId, order, payment, requirements }: Sale): {
  readonly orderId: Hex
  readonly claimBy: number
  readonly payment: PaymentPayload
  readonly requirements: PaymentRequirements
} {
  return { orderId, claimBy: order.claimBy, payment, requirements }
}
