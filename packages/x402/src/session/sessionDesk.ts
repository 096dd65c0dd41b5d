import type { ComputedAnswer, PaidAnswer, PaymentNode } from '@opg/node'
import {
  type Hex,
  InvalidInputError,
  type SignedReceipt,
  type WorkOrderPayment,
  orderId,
  parseBaseUnits,
  parseWorkOrderExtra,
  parseWorkOrderPayment,
  requestId,
  termsHash,
  toWire,
} from '@opg/protocol'
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import { AnswerTakenBackError } from './errors.js'
import type { OrderOpener } from './opener.js'

/** Price of one output token in a sheet where the fee is the number of tokens. */
const FEE_SHEET = { perRequest: 0n, inputPerMillion: 0n, outputPerMillion: 1_000_000n }

/** The part of a node that a desk needs. */
export type DeskNode = Pick<PaymentNode, 'service' | 'store' | 'chain'>

export interface SessionDeskOptions {
  readonly node: DeskNode
  readonly opener: OrderOpener
  /** Waits; for a chain that shows an order a little late. */
  readonly sleep: (ms: number) => Promise<unknown>
}

/** The request as it came: what its signature covers. */
export interface RequestBytes {
  /** Without query. */
  readonly path: string
  readonly body: Uint8Array
}

export interface StoredBody {
  readonly body: Uint8Array
  readonly contentType: string
}

export type Verified =
  | { readonly status: 'reserved'; readonly payment: WorkOrderPayment }
  /** Answered before: what is stored is what it gets. */
  | { readonly status: 'replayed'; readonly payment: WorkOrderPayment; readonly answer: StoredBody }
  /** In x402's words. */
  | { readonly status: 'invalid'; readonly reason: string; readonly detail: string }

export type Charged =
  | { readonly status: 'charged'; readonly payment: WorkOrderPayment; readonly receipt: SignedReceipt }
  | { readonly status: 'refused'; readonly reason: string; readonly detail: string }

/** What the scheme put into a payment, and the seller's step where it added one. */
export type SchemePayload = Readonly<Record<string, unknown>>

/** A request whose money is reserved, waiting for its handler's answer. */
interface Pending {
  readonly answer: (outcome: StoredBody & { readonly fee: bigint }) => void
  readonly giveUp: (reason: string) => void
  readonly served: Promise<PaidAnswer>
}

const LOOKS_AT_CHAIN = 10
const LOOK_MS = 500

/**
 * Requests of sessions between their handler's beginning and end: reserved in the node's books before, committed with a
 * receipt after. It is the node's own gate that admits them; here it meets x402's two calls.
 */
export class SessionDesk {
  readonly #options: SessionDeskOptions
  readonly #pending = new Map<Hex, Pending>()
  readonly #opening = new Map<string, Promise<Extract<Verified, { readonly status: 'invalid' }> | undefined>>()

  constructor(options: SessionDeskOptions) {
    this.#options = options
  }

  /** Reserves a request, for `maxTimeoutSeconds` at most. Never throws for what came from outside. */
  async verify(
    payload: PaymentPayload,
    { requirements, request }: { readonly requirements: PaymentRequirements; readonly request: RequestBytes },
  ): Promise<Verified> {
    try {
      const payment = parseWorkOrderPayment(payload.payload)
      const misfit = this.#misfit(payment, requirements)
      if (misfit !== undefined) return misfit
      const unopened = await this.#admit(payment, { payload, requirements })
      return unopened ?? (await this.#reserve(payment, { requirements, request }))
    } catch (error) {
      if (error instanceof InvalidInputError) return invalid('invalid_payload', error.message)
      throw error
    }
  }

  /** Commits the answer of a reserved request. The receipt is durable when it resolves (N2). */
  async charge(payload: SchemePayload, answer: StoredBody & { readonly fee: bigint }): Promise<Charged> {
    const payment = readPayment(payload)
    const { request } = payment
    const id = requestId(request)
    const pending = this.#pending.get(id)
    if (pending === undefined) {
      const stored = await this.#options.node.store.answer(request.orderId, request.index)
      if (stored?.requestId === id) return { status: 'charged', payment, receipt: stored.signedReceipt }
      return { status: 'refused', reason: 'reservation_lost', detail: 'It took too long, and nothing is charged.' }
    }
    if (answer.fee > request.maxFee) {
      pending.giveUp('the fee is above what the request allows')
      const detail = `The fee is ${answer.fee.toString()} base units, and the request allows ${request.maxFee.toString()}.`
      return { status: 'refused', reason: 'over_limit', detail }
    }
    pending.answer(answer)
    const served = await pending.served
    if (served.status === 'refused' || served.status === 'failed') {
      return { status: 'refused', reason: 'reservation_lost', detail: served.detail }
    }
    return { status: 'charged', payment, receipt: served.signedReceipt }
  }

  /** Gives a reservation back: the handler failed, and nothing is charged. */
  async cancel(payload: SchemePayload): Promise<void> {
    const pending = this.#pending.get(requestId(readPayment(payload).request))
    pending?.giveUp('the handler failed')
    await pending?.served
  }

  /** Whether the payment fits what was asked for; its signatures are the gate's to check. */
  #misfit(payment: WorkOrderPayment, requirements: PaymentRequirements): Verified | undefined {
    const { terms, order, request } = payment
    const { node } = this.#options
    const offered = parseWorkOrderExtra(requirements.extra)
    if (termsHash(terms) !== termsHash(offered.terms)) {
      return invalid('offer_mismatch', 'The order has other terms than the offer.')
    }
    const id = orderId({ seed: node.chain.seed, terms, order })
    if (request.orderId !== id)
      return invalid('offer_mismatch', `The request is of order ${request.orderId}, not ${id}.`)
    return undefined
  }

  /** Makes sure that the books know the order, as the chain confirms it (N1); opens it where nobody has. */
  async #admit(
    payment: WorkOrderPayment,
    wish: { readonly payload: PaymentPayload; readonly requirements: PaymentRequirements },
  ): Promise<Verified | undefined> {
    const { node, opener, sleep } = this.#options
    const { terms, order, permit, request } = payment
    const id = request.orderId
    if ((await node.store.order(id)) !== undefined) return undefined
    // By all that decides the outcome: a twin of the payment, with a bad permit, must not spoil it.
    const opening = JSON.stringify([
      id,
      permit === undefined ? null : toWire(permit),
      wish.requirements,
      wish.payload.extensions,
    ])
    const running = this.#opening.get(opening)
    if (running !== undefined) return running

    const admit = async (): Promise<Extract<Verified, { readonly status: 'invalid' }> | undefined> => {
      const input = toWire({ terms, order })
      let admission = await node.service.admitOrder(input)
      if (admission.status === 'refused' && admission.reason === 'order-not-open' && permit !== undefined) {
        const opened = await opener({ orderId: id, terms, order, permit, ...wish })
        if (opened.status === 'refused') return invalid(opened.reason, opened.detail)
        admission = await node.service.admitOrder(input)
        for (let look = 1; look < LOOKS_AT_CHAIN && isNotOpen(admission); look++) {
          await sleep(LOOK_MS)
          admission = await node.service.admitOrder(input)
        }
      }
      return admission.status === 'refused' ? invalid(reasonOf(admission.reason), admission.detail) : undefined
    }
    const admitting = admit().finally(() => this.#opening.delete(opening))
    this.#opening.set(opening, admitting)
    return admitting
  }

  /** Resolves when the gate has reserved the money, or refused. The rest of `serve` waits for the handler's answer. */
  async #reserve(
    payment: WorkOrderPayment,
    { requirements, request }: { readonly requirements: PaymentRequirements; readonly request: RequestBytes },
  ): Promise<Verified> {
    const { request: signed, signature, voucher, terms } = payment
    const id = requestId(signed)
    const answered = deferred<StoredBody & { readonly fee: bigint }>()
    const reserved = deferred<undefined>()
    const served = this.#options.node.service.serve({
      ...request,
      signedRequest: toWire({ request: signed, signature }),
      signedVoucher: voucher === undefined ? undefined : toWire(voucher),
      modelId: terms.modelId,
      prices: FEE_SHEET,
      maxFeeNeeded: parseBaseUnits(requirements.amount, 'amount'),
      signal: new AbortController().signal,
      run: async ({ emit }): Promise<ComputedAnswer> => {
        reserved.resolve(undefined)
        const { fee, body, contentType } = await answered.promise
        await emit(body)
        return { usage: { inputTokens: 0n, outputTokens: fee }, contentType }
      },
    })
    const early = await Promise.race([reserved.promise, served])
    if (early !== undefined) return verifiedOf(payment, early)

    const giveUp = (reason: string): void => {
      answered.reject(new AnswerTakenBackError(reason))
    }
    const timer = setTimeout(() => {
      giveUp('the handler took too long')
    }, requirements.maxTimeoutSeconds * 1_000)
    timer.unref()
    this.#pending.set(id, { answer: answered.resolve, giveUp, served })
    const forget = (): void => {
      clearTimeout(timer)
      this.#pending.delete(id)
    }
    served.then(forget, forget)
    return { status: 'reserved', payment }
  }
}

function verifiedOf(payment: WorkOrderPayment, early: PaidAnswer): Verified {
  switch (early.status) {
    case 'replayed':
    case 'served':
      return { status: 'replayed', payment, answer: { body: early.body, contentType: early.contentType } }
    case 'refused':
      return invalid(reasonOf(early.reason), early.detail)
    case 'failed':
      return invalid('unavailable', early.detail)
  }
}

function readPayment({ opg: _step, ...signed }: SchemePayload): WorkOrderPayment {
  return parseWorkOrderPayment(signed)
}

function invalid(reason: string, detail: string): Extract<Verified, { readonly status: 'invalid' }> {
  return { status: 'invalid', reason, detail }
}

/** x402 writes its reasons with underscores. */
function reasonOf(reason: string): string {
  return reason.replaceAll('-', '_')
}

function isNotOpen(admission: { readonly status: string; readonly reason?: string }): boolean {
  return admission.reason === 'order-not-open'
}

interface Deferred<T> {
  readonly promise: Promise<T>
  readonly resolve: (value: T) => void
  readonly reject: (reason: Error) => void
}

function deferred<T>(): Deferred<T> {
  let settle: { readonly resolve: (value: T) => void; readonly reject: (reason: Error) => void } | undefined
  const promise = new Promise<T>((resolve, reject) => {
    settle = { resolve, reject }
  })
  return { promise, resolve: (value) => settle?.resolve(value), reject: (reason) => settle?.reject(reason) }
}
