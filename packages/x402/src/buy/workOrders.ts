import {
  type PreparedCall,
  type ReceiptBook,
  type ReceiptLog,
  createRequestSigner,
  createWorkOrder,
  openOrder,
  openReceiptBook,
  signWorkOrder,
} from '@opg/payer'
import { type Hex, type SignedOrder, type Terms, type WorkOrderPayment, parseAddress, termsHash } from '@opg/protocol'
import type { Signer } from 'ethers'
import { OrderNotOpenedError, OrdersUsedUpError, SpendLimitError } from './errors.js'
import type { WorkOrderOffer } from './offers.js'
import { type Slot, type Tab, drop, isBusy, payloadOf } from './orderSlot.js'
import type { Payment, RequestContext } from './requestContext.js'
import type { SpendingWallet } from './wallet.js'

/** Seconds in which a seller may open an order that was signed for it. */
const OPENING_SECONDS = 900
/** So much sooner than the seller would refuse it, an order is given up. */
const MARGIN_SECONDS = 30
/** New orders within one call: the first may be used up by others before this one gets to it. */
const MAX_ORDERS = 4

export interface WorkOrdersOptions {
  readonly wallet: SpendingWallet
  /** Signs single requests. */
  readonly requester: Signer
  /** Base units to lock in an order, where the limits leave them; at least what the seller and the request ask for. */
  readonly sessionAmount: bigint
  /** How long an order is to serve. */
  readonly sessionSeconds: number
  /** Whether the payer opens its orders itself, and pays the gas. */
  readonly open: boolean
  /** Where an order's receipts are kept. */
  readonly receiptLog: (orderId: Hex) => ReceiptLog
}

/** Orders for each seller and its terms, shared by all calls, and a new one where those there are cannot pay. */
export class WorkOrders {
  readonly #options: WorkOrdersOptions
  readonly #slots = new Map<string, Slot>()
  readonly #tabs: Tab[] = []
  #waiting: (() => void)[] = []

  constructor(options: WorkOrdersOptions) {
    this.#options = options
  }

  /** The books of all orders so far. */
  get books(): readonly ReceiptBook[] {
    return this.#tabs.map(({ book }) => book)
  }

  /** Orders with the hosts that they were made for. */
  get orders(): readonly { readonly host: string; readonly book: ReceiptBook }[] {
    return this.#tabs
  }

  /**
   * Signs one request, under an order that covers it.
   *
   * @throws {SpendLimitError} {@link FundsMissingError} {@link FraudFoundError} {@link ChainUnavailableError}
   */
  async pay(
    offer: WorkOrderOffer,
    context: RequestContext,
  ): Promise<{ readonly payload: WorkOrderPayment; readonly payment: Payment }> {
    const { host, path, body, signal } = context
    this.#options.wallet.checkRequest(host, offer.amount)
    const slot = this.#slotOf(host, offer)
    for (let orders = 0; orders < MAX_ORDERS;) {
      signal.throwIfAborted()
      const tab = this.#usable(slot, offer)
      if (tab === undefined) {
        orders += await this.#renew(slot, { offer, context })
        continue
      }
      const end = this.#begin(tab)
      try {
        const result = await tab.requests.sign({ path, body, maxFee: offer.amount })
        if (result.status === 'prepared') {
          const { call } = result
          return { payload: payloadOf(tab, call), payment: this.#paymentOf({ slot, tab, call, end }) }
        }
        drop(slot, tab)
        end()
      } catch (error) {
        end()
        throw error
      }
    }
    throw new OrdersUsedUpError({ host, orders: MAX_ORDERS })
  }

  #slotOf(host: string, { extra }: WorkOrderOffer): Slot {
    const key = `${host} ${termsHash(extra.terms)}`
    const slot = this.#slots.get(key) ?? { host, tabs: [], opening: undefined, isLimited: false }
    this.#slots.set(key, slot)
    return slot
  }

  /** An order of the slot that can pay for one more request. */
  #usable(slot: Slot, offer: WorkOrderOffer): Tab | undefined {
    const now = this.#options.wallet.now()
    slot.tabs = slot.tabs.filter(({ book, isOpen, signed }) => {
      const isLate = book.order.claimBy - now < offer.extra.minSecondsToClaimBy + MARGIN_SECONDS
      const isUnopenable = !isOpen && Number(signed.deadline) - now < MARGIN_SECONDS
      return !isLate && !isUnopenable
    })
    return slot.tabs.find(({ requests }) => requests.left >= offer.amount)
  }

  /** Makes the slot's next order, once for all calls that wait for it. Returns how many this call made. */
  async #renew(
    slot: Slot,
    input: { readonly offer: WorkOrderOffer; readonly context: RequestContext },
  ): Promise<0 | 1> {
    try {
      if (slot.isLimited && isBusy(slot)) {
        await this.#nextEnd(input.context.signal)
        return 0
      }
      if (slot.opening !== undefined) {
        await slot.opening
        return 0
      }
      slot.opening = this.#open(slot, input).finally(() => {
        slot.opening = undefined
      })
      await slot.opening
      return 1
    } catch (error) {
      if (!(error instanceof SpendLimitError && isBusy(slot))) throw error
      slot.isLimited = true
      return 0
    }
  }

  /** As large as the spender wishes, or as its limits leave. */
  async #open(
    slot: Slot,
    { offer }: { readonly offer: WorkOrderOffer; readonly context: RequestContext },
  ): Promise<void> {
    const { host } = slot
    const least = max(offer.extra.minAmount, offer.amount)
    const wished = max(this.#options.sessionAmount, offer.amount)
    // How much is locked is the spender's choice: a seller whose own key is the evidence could take all of it.
    if (least > wished) throw new SpendLimitError({ limit: 'session', host, left: wished, needed: least })
    let tab: Tab
    try {
      tab = await this.#make(wished, { offer, host })
    } catch (error) {
      if (!(error instanceof SpendLimitError)) throw error
      const { limit, left } = error
      if (left < least) throw new SpendLimitError({ limit, host, left, needed: least })
      tab = await this.#make(left, { offer, host })
    }
    slot.tabs.push(tab)
    slot.isLimited = false
  }

  async #make(
    amount: bigint,
    { offer, host }: { readonly offer: WorkOrderOffer; readonly host: string },
  ): Promise<Tab> {
    const { wallet, requester, sessionSeconds, open, receiptLog } = this.#options
    const { extra, judge } = offer
    const { escrow, blockNumber } = wallet.market
    const now = wallet.now()
    const prepared = createWorkOrder({
      escrow,
      terms: extra.terms,
      payer: wallet.address,
      requester: parseAddress(await requester.getAddress(), 'requester'),
      amount,
      nonce: wallet.nextNonce(),
      claimBy: now + extra.minSecondsToClaimBy + sessionSeconds,
      deadline: now + Math.min(OPENING_SECONDS, sessionSeconds),
      now,
    })
    const { orderId, terms, order } = prepared
    const deadline = Number(prepared.deadline)
    const signed = await wallet.authorize({ orderId, host, terms, order, deadline, fromBlock: blockNumber }, () =>
      signWorkOrder(wallet.signer, prepared),
    )
    const book = await openReceiptBook({ escrow, terms, order, evidence: judge.evidence, log: receiptLog(orderId) })
    const requests = await createRequestSigner({
      requester,
      book,
      now: () => wallet.now(),
      vouchers: judge.vouchers,
    })
    if (open) await openItself(wallet, { terms, signed, host })
    const tab: Tab = { host, book, requests, signed, isOpen: open, running: 0 }
    this.#tabs.push(tab)
    return tab
  }

  #paymentOf(input: {
    readonly slot: Slot
    readonly tab: Tab
    readonly call: PreparedCall
    readonly end: () => void
  }): Payment {
    const { slot, tab, call, end } = input
    return {
      needsReceipt: true,
      accept: async (receipt, hash) => {
        await tab.requests.accept(receipt, { call, hash })
        tab.isOpen = true
      },
      refuse: () => tab.book.noteRefusal(call.requestId),
      retire: () => {
        drop(slot, tab)
        return true
      },
      end,
    }
  }

  /** A call begins that reserves something; what it returns ends it, once. */
  #begin(tab: Tab): () => void {
    tab.running++
    let hasEnded = false
    return () => {
      if (hasEnded) return
      hasEnded = true
      tab.running--
      const waiting = this.#waiting
      this.#waiting = []
      for (const wake of waiting) wake()
    }
  }

  #nextEnd(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        reject(signal.reason instanceof Error ? signal.reason : new DOMException('aborted', 'AbortError'))
      }
      signal.addEventListener('abort', leave, { once: true })
      this.#waiting.push(() => {
        signal.removeEventListener('abort', leave)
        resolve()
      })
    })
  }
}

async function openItself(
  wallet: SpendingWallet,
  { terms, signed, host }: { readonly terms: Terms; readonly signed: SignedOrder; readonly host: string },
): Promise<void> {
  const opening = await openOrder(wallet.signer, { escrow: wallet.market.escrow, terms, signed })
  if (opening.status === 'refused') throw new OrderNotOpenedError({ host, detail: opening.detail })
}

function max(a: bigint, b: bigint): bigint {
  return a > b ? a : b
}
