import type { Signer } from 'ethers'
import {
  type Hex,
  type InferenceRequest,
  InvalidInputError,
  RECEIPT_HEADER,
  REQUEST_HEADER,
  type SignedReceipt,
  type SignedVoucher,
  VOUCHER_HEADER,
  ZERO_BYTES32,
  decodeReceiptHeader,
  encodeRequestHeader,
  encodeVoucherHeader,
  formatOpg,
  parseUint,
  requestHash,
  requestId,
  responseHash,
  responseHasher,
  typedData,
} from '@opg/protocol'
import { EventLines, contentLines } from './answerStream.js'
import type { Answer, PreparedCall, Refused, StreamEvent } from './call.js'
import { FraudFoundError, NodeAnswerError, ReceiptInvalidError, StreamInterruptedError, reasonOf } from './errors.js'
import { checkSeconds, checkUint } from './input.js'
import {
  type NodeHttp,
  type NodeResponse,
  callNode,
  collect,
  isConnectionError,
  memberOf,
  parseAnswer,
  refusalOf,
} from './nodeHttp.js'
import type { ReceiptBook } from './receiptBook.js'
import { signVoucher } from './signVoucher.js'

/** The spender's own limits, in base units, on top of the order's amount. */
export interface SpendLimits {
  readonly maxFeePerRequest?: bigint
  /** Over all requests of the order. */
  readonly maxTotal?: bigint
}

export interface SessionParts {
  readonly http: NodeHttp
  readonly book: ReceiptBook
  /** The order's requester. */
  readonly requester: Signer
  /** The clock, in Unix seconds. */
  readonly now: () => number
  readonly limits: SpendLimits
  /** How long a request may be admitted after it was signed. */
  readonly requestTtlSeconds: number
  /** Whether each request brings a voucher. */
  readonly vouchers: boolean
}

export interface CallOptions {
  /** Base units that the call may cost. Where absent, the node is asked, and the limits decide. */
  readonly maxFee?: bigint
}

const INFER = '/v1/infer'
const CHAT = '/v1/chat/completions'
const EVENT_STREAM = /^text\/event-stream\s*(;|$)/i
const readUint96 = parseUint(96)

/** Buys inference under one order. Made by `createSession`. Calls may run at the same time. */
export class Session {
  readonly book: ReceiptBook
  readonly #parts: SessionParts
  /** Base units and indexes of calls that are being signed, and are not in the book yet. */
  #signing = 0n
  #nextIndex: bigint

  constructor(parts: SessionParts) {
    this.#parts = parts
    this.book = parts.book
    this.#nextIndex = parts.book.nextIndex
  }

  /** `POST /v1/infer`. `body` is sent as JSON; bytes are sent as they are. */
  async infer(body: unknown, options: CallOptions = {}): Promise<(Answer & { readonly json: unknown }) | Refused> {
    return this.#ask({ path: INFER, body, options })
  }

  /** `POST /v1/chat/completions`, answered as a whole. */
  async chat(body: object, options: CallOptions = {}): Promise<(Answer & { readonly json: unknown }) | Refused> {
    return this.#ask({ path: CHAT, body: { ...body, stream: false }, options })
  }

  /** `POST /v1/chat/completions`, answered piece by piece; the last event is the receipt. */
  async chatStream(
    body: object,
    options: CallOptions = {},
  ): Promise<{ readonly status: 'streaming'; readonly events: AsyncGenerator<StreamEvent, void> } | Refused> {
    const prepared = await this.prepare(CHAT, { body: { ...body, stream: true }, ...options })
    return prepared.status === 'prepared' ? this.sendStream(prepared.call) : prepared
  }

  /**
   * Signs a request and notes it, under limits that hold for all calls at once.
   *
   * @throws {FraudFoundError} if the node was caught before
   * @throws {InvalidInputError} {@link NodeUnavailableError}
   */
  async prepare(
    path: string,
    input: CallOptions & { readonly body: unknown },
  ): Promise<{ readonly status: 'prepared'; readonly call: PreparedCall } | Refused> {
    this.#refuseAfterFraud()
    const body = bytesOf(input.body)
    const hash = this.#hashOf(path, body)
    const maxFee =
      input.maxFee === undefined ? await this.quote(path, body) : checkUint(input.maxFee, { field: 'maxFee', bits: 96 })
    if (typeof maxFee !== 'bigint') return maxFee
    const refusal = this.#refusalOf(maxFee)
    if (refusal !== undefined) return refusal

    // From the check to the book no other call may take the same money or index.
    let signing = maxFee
    this.#signing += signing
    const index = this.#nextIndex++
    // What was billed, what calls under way may still cost, and this one: no other call can make more of it.
    const total = this.#committed()
    try {
      const request = this.#requestOf({ index, hash, maxFee })
      const data = typedData(this.book.escrow, { name: 'InferenceRequest', value: request })
      const signature = await this.#parts.requester.signTypedData(data.domain, data.types, data.message)
      const signed = { request, signature: `0x${signature.slice(2)}` } as const
      const voucher = this.#parts.vouchers ? await this.#signVoucher(total) : undefined
      const noted = this.book.noteRequest(signed, voucher) // counts there from here on, durable or not
      this.#signing -= signing
      signing = 0n
      await noted
      return { status: 'prepared', call: { path, body, signed, voucher, requestId: requestId(request) } }
    } finally {
      this.#signing -= signing
    }
  }

  /**
   * Sends a call, again where that may help, and verifies and keeps the receipt. The same call may be sent again at any
   * time: the node gives the answer that it stored.
   *
   * @throws {ReceiptInvalidError} {@link FraudFoundError} {@link NodeAnswerError} {@link NodeUnavailableError}
   */
  async send(call: PreparedCall): Promise<Answer | Refused> {
    const sent = await callNode(this.#parts.http, {
      ...this.#post(call),
      read: (response) => readWhole(response, call),
    })
    if (sent.status === 'refused') return this.#noteRefusal(call, sent)
    const { body, contentType, receipt } = sent.value
    await this.#accept(receipt, { call, hash: responseHash(body) })
    return { status: 'answered', body, contentType, receipt }
  }

  /** As `send`, piece by piece. What came before an error stands; `send` with the same call gives the whole answer. */
  async sendStream(
    call: PreparedCall,
  ): Promise<{ readonly status: 'streaming'; readonly events: AsyncGenerator<StreamEvent, void> } | Refused> {
    const sent = await callNode(this.#parts.http, {
      ...this.#post(call),
      read: (response) => {
        if (EVENT_STREAM.test(response.contentType)) return Promise.resolve(response.pieces(true))
        const [expected, found] = ['text/event-stream', response.contentType]
        throw new NodeAnswerError({ field: 'content-type', expected, found, call })
      },
    })
    if (sent.status === 'refused') return this.#noteRefusal(call, sent)
    return { status: 'streaming', events: this.#events(call, sent.value) }
  }

  /**
   * Asks the node what a call may cost at most, in base units. Costs nothing.
   *
   * @throws {NodeAnswerError} {@link NodeUnavailableError}
   */
  async quote(path: string, body: unknown): Promise<bigint | Refused> {
    const answer = await callNode<never>(this.#parts.http, {
      path,
      body: bytesOf(body),
      read: () => {
        const expected = '402 with an offer, since the request was not signed'
        throw new NodeAnswerError({ field: 'status', expected, found: '200' })
      },
    })
    if (answer.status === 'ok') return answer.value
    if (answer.reason !== 'PAYMENT_REQUIRED') return refusalOf(answer)
    const maxFee = memberOf(memberOf(answer.body, 'payment'), 'maxFee')
    try {
      return readUint96(maxFee, 'payment.maxFee')
    } catch (cause) {
      throw new NodeAnswerError({ field: 'payment.maxFee', expected: 'base units', found: reasonOf(cause), cause })
    }
  }

  async #ask(input: {
    readonly path: string
    readonly body: unknown
    readonly options: CallOptions
  }): Promise<(Answer & { readonly json: unknown }) | Refused> {
    const prepared = await this.prepare(input.path, { body: input.body, ...input.options })
    if (prepared.status === 'refused') return prepared
    const answer = await this.send(prepared.call)
    return answer.status === 'refused' ? answer : { ...answer, json: parseAnswer({ ...answer, call: prepared.call }) }
  }

  async *#events(call: PreparedCall, pieces: AsyncIterable<Uint8Array>): AsyncGenerator<StreamEvent, void> {
    const hasher = responseHasher()
    const lines = new EventLines()
    const content = contentLines(pieces)
    let detail = 'the connection ended'
    try {
      for (;;) {
        const { done, value } = await content.next()
        if (done === true) {
          if (value === undefined) break
          await this.#accept(value, { call, hash: hasher.digest() })
          yield { type: 'receipt', receipt: value }
          return
        }
        hasher.update(value)
        const event = lines.push(value)
        if (event?.name === 'error') detail = errorText(event.data)
        else if (event !== undefined) yield { type: 'chunk', data: event.data, json: jsonOf(event.data) }
      }
    } catch (cause) {
      if (!isConnectionError(cause)) throw cause
      throw new StreamInterruptedError({ call, detail: reasonOf(cause.cause ?? cause), cause })
    } finally {
      await content.return(undefined) // a consumer that leaves ends the connection
    }
    throw new StreamInterruptedError({ call, detail })
  }

  #post(call: PreparedCall) {
    const { path, body, signed, voucher } = call
    const headers = {
      [REQUEST_HEADER]: encodeRequestHeader(signed),
      ...(voucher === undefined ? {} : { [VOUCHER_HEADER]: encodeVoucherHeader(voucher) }),
    }
    return { path, body, headers, call }
  }

  /** Base units that were billed, that calls without an answer may cost, and that calls being signed may. */
  #committed(): bigint {
    return this.book.spent + this.book.reserved + this.#signing
  }

  #signVoucher(maxCumulativeFee: bigint): Promise<SignedVoucher> {
    const { escrow, orderId, node, order } = this.book
    return signVoucher(this.#parts.requester, {
      escrow,
      requester: order.job.requester,
      voucher: { orderId, node, maxCumulativeFee },
    })
  }

  async #noteRefusal(call: PreparedCall, refused: Refused): Promise<Refused> {
    await this.book.noteRefusal(call.requestId)
    return refusalOf(refused)
  }

  /** A receipt counts whatever the answer is worth, so it is kept first. */
  async #accept(
    signed: SignedReceipt,
    { call, hash }: { readonly call: PreparedCall; readonly hash: Hex },
  ): Promise<void> {
    const entry = await this.book.add(signed)
    if (entry.status === 'fraud') throw new FraudFoundError(entry.proof)
    const { receipt } = signed
    if (receipt.requestId !== call.requestId) {
      const expected = `this request, ${call.requestId}`
      throw new ReceiptInvalidError({ field: 'receipt.requestId', expected, found: receipt.requestId })
    }
    if (receipt.responseHash !== hash) {
      const expected = `the hash of the answer's bytes, ${hash}`
      throw new ReceiptInvalidError({ field: 'receipt.responseHash', expected, found: receipt.responseHash })
    }
  }

  #refuseAfterFraud(): void {
    const proof = this.book.firstFraud
    if (proof !== undefined) throw new FraudFoundError(proof)
  }

  #hashOf(path: string, body: Uint8Array): Hex {
    const hash = requestHash(path, body)
    const pinned = this.book.order.job.requestHash
    if (pinned !== ZERO_BYTES32 && pinned !== hash) {
      throw new InvalidInputError({
        field: 'body',
        expected: `the request that the order pays for, ${pinned}`,
        value: hash,
      })
    }
    return hash
  }

  #requestOf(input: { readonly index: bigint; readonly hash: Hex; readonly maxFee: bigint }): InferenceRequest {
    const { claimBy } = this.book.order
    const expiresAt = Math.min(this.#now() + this.#parts.requestTtlSeconds, claimBy)
    const { orderId, node } = this.book
    const { index, hash, maxFee } = input
    return { orderId, node, index, requestHash: hash, maxFee, expiresAt }
  }

  #refusalOf(maxFee: bigint): Refused | undefined {
    const { limits } = this.#parts
    const { book } = this
    const needed = `this request may cost ${formatOpg(maxFee)}`
    const refuse = (reason: string, detail: string): Refused => ({ status: 'refused', by: 'limits', reason, detail })
    if (this.#now() >= book.order.claimBy) {
      return refuse(
        'ORDER_EXPIRED',
        `Order ${book.orderId} expired at ${String(book.order.claimBy)}. Reclaim its rest.`,
      )
    }
    if (limits.maxFeePerRequest !== undefined && maxFee > limits.maxFeePerRequest) {
      const most = formatOpg(limits.maxFeePerRequest)
      return refuse(
        'OVER_REQUEST_LIMIT',
        `A request may cost ${most} OPG, and ${needed}. Raise the limit or ask for less.`,
      )
    }
    const total = this.#committed()
    if (limits.maxTotal !== undefined && total + maxFee > limits.maxTotal) {
      const rest = limits.maxTotal > total ? limits.maxTotal - total : 0n
      return refuse(
        'OVER_TOTAL_LIMIT',
        `Your limit leaves ${formatOpg(rest)} OPG, and ${needed}. Raise it or ask for less.`,
      )
    }
    const left = book.left - this.#signing
    if (maxFee > left) {
      const holds = formatOpg(left > 0n ? left : 0n)
      return refuse(
        'ORDER_EXHAUSTED',
        `Order ${book.orderId} holds ${holds} OPG, and ${needed}. Ask the payer for a new order or lower max_tokens.`,
      )
    }
    return undefined
  }

  #now(): number {
    return checkSeconds(this.#parts.now(), 'now')
  }
}

async function readWhole(
  response: NodeResponse,
  call: PreparedCall,
): Promise<{ readonly body: Uint8Array; readonly contentType: string; readonly receipt: SignedReceipt }> {
  const { contentType } = response
  if (!EVENT_STREAM.test(contentType)) {
    const body = await collect(response.pieces(false))
    return { body, contentType, receipt: receiptIn(response, call) }
  }
  const lines: Uint8Array[] = []
  const content = contentLines(response.pieces(true))
  for (;;) {
    const { done, value } = await content.next()
    if (done !== true) lines.push(value)
    else if (value !== undefined) return { body: Buffer.concat(lines), contentType, receipt: value }
    else throw new StreamInterruptedError({ call, detail: 'the connection ended' })
  }
}

function receiptIn(response: NodeResponse, call: PreparedCall): SignedReceipt {
  try {
    return decodeReceiptHeader(response.header(RECEIPT_HEADER) ?? undefined)
  } catch (cause) {
    const field = cause instanceof InvalidInputError ? cause.field : RECEIPT_HEADER
    const expected = cause instanceof InvalidInputError ? cause.expected : 'a signed receipt'
    const found = cause instanceof InvalidInputError ? cause.found : reasonOf(cause)
    throw new NodeAnswerError({ field, expected, found, call, cause })
  }
}

function bytesOf(body: unknown): Uint8Array {
  if (body instanceof Uint8Array) return body
  const text = JSON.stringify(body) as string | undefined
  if (text === undefined) throw new InvalidInputError({ field: 'body', expected: 'bytes or JSON', value: body })
  return new TextEncoder().encode(text)
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    return undefined
  }
}

function errorText(data: string): string {
  const message = memberOf(memberOf(jsonOf(data), 'error'), 'message')
  return typeof message === 'string' ? message : 'the node reported an error'
}
