import {
  InvalidInputError,
  RECEIPT_HEADER,
  REQUEST_HEADER,
  type SignedReceipt,
  VOUCHER_HEADER,
  decodeReceiptHeader,
  encodeRequestHeader,
  encodeVoucherHeader,
  parseUint,
  responseHash,
  responseHasher,
} from '@opg/protocol'
import { EventLines, contentLines } from './answerStream.js'
import type { Answer, PreparedCall, Refused, StreamEvent } from './call.js'
import { NodeAnswerError, StreamInterruptedError, reasonOf } from './errors.js'
import { type NodeHttp, callNode, refusalOf } from './nodeHttp.js'
import { type NodeResponse, collect, isConnectionError, memberOf, parseAnswer } from './nodeResponse.js'
import type { ReceiptBook } from './receiptBook.js'
import type { RequestSigner } from './requestSigner.js'

export interface SessionParts {
  readonly http: NodeHttp
  readonly requests: RequestSigner
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
  readonly #http: NodeHttp
  readonly #requests: RequestSigner

  constructor({ http, requests }: SessionParts) {
    this.#http = http
    this.#requests = requests
    this.book = requests.book
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
    this.#requests.refuseAfterFraud()
    const body = bytesOf(input.body)
    this.#requests.hashOf(path, body) // before the node is asked for anything
    if (input.maxFee !== undefined) return this.#requests.sign({ path, body, maxFee: input.maxFee })
    const quoted = await this.quote(path, body)
    return typeof quoted === 'bigint' ? this.#requests.sign({ path, body, maxFee: quoted }) : quoted
  }

  /**
   * Sends a call, again where that may help, and verifies and keeps the receipt. The same call may be sent again at any
   * time: the node gives the answer that it stored.
   *
   * @throws {ReceiptInvalidError} {@link FraudFoundError} {@link NodeAnswerError} {@link NodeUnavailableError}
   */
  async send(call: PreparedCall): Promise<Answer | Refused> {
    const sent = await callNode(this.#http, {
      ...this.#post(call),
      read: (response) => readWhole(response, call),
    })
    if (sent.status === 'refused') return this.#noteRefusal(call, sent)
    const { body, contentType, receipt } = sent.value
    await this.#requests.accept(receipt, { call, hash: responseHash(body) })
    return { status: 'answered', body, contentType, receipt }
  }

  /** As `send`, piece by piece. What came before an error stands; `send` with the same call gives the whole answer. */
  async sendStream(
    call: PreparedCall,
  ): Promise<{ readonly status: 'streaming'; readonly events: AsyncGenerator<StreamEvent, void> } | Refused> {
    const sent = await callNode(this.#http, {
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
    const answer = await callNode<never>(this.#http, {
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
          await this.#requests.accept(value, { call, hash: hasher.digest() })
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

  async #noteRefusal(call: PreparedCall, refused: Refused): Promise<Refused> {
    await this.book.noteRefusal(call.requestId)
    return refusalOf(refused)
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
