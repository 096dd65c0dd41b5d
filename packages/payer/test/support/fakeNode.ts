import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import {
  type Hex,
  RECEIPT_HEADER,
  REQUEST_HEADER,
  type SignedReceipt,
  decodeRequestHeader,
  encodeReceiptEvent,
  encodeReceiptHeader,
  parseOrder,
  requestId,
  responseHash,
} from '@opg/protocol'
import { NOW, ORDER_ID, signReceipt } from './world.js'

/** What the node is about to send; an attack changes it, or takes over the response and returns nothing. */
export interface FakeAnswer {
  readonly body: Buffer
  readonly signed: SignedReceipt
  readonly headers: Readonly<Record<string, string>>
  readonly trailer: string
}

export type Attack = (
  answer: FakeAnswer,
  http: { readonly request: IncomingMessage; readonly response: ServerResponse; readonly attempt: number },
) => FakeAnswer | undefined

const FEE = 10n

/**
 * Stands in for a node, over real HTTP, since an honest node cannot be made to lie. It keeps an honest ledger for one
 * order and stored answers for retries; `attack` says where it lies.
 */
export class FakeNode {
  readonly #server: Server
  readonly #stored = new Map<Hex, { readonly body: Buffer; readonly signed: SignedReceipt }>()
  readonly receipts: SignedReceipt[] = []
  /** Bodies and signed requests as they arrived, one text for each attempt. */
  readonly arrived: string[] = []
  attack: Attack = (answer) => answer
  /** Takes over `POST /v1/orders`. */
  onOrder: ((response: ServerResponse, attempt: number) => void) | undefined
  #orders = 0

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async start(): Promise<FakeNode> {
    const node = new FakeNode()
    await new Promise<void>((resolve) => node.#server.listen(0, '127.0.0.1', resolve))
    return node
  }

  get url(): string {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? `http://127.0.0.1:${address.port.toString()}` : ''
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(Buffer.from(piece as Uint8Array))
    const body = Buffer.concat(pieces)
    if (request.url === '/v1/orders') {
      this.#orders++
      if (this.onOrder !== undefined) {
        this.onOrder(response, this.#orders)
        return
      }
      parseOrder((JSON.parse(body.toString()) as { order: unknown }).order)
      sendJson(response, { status: 'admitted', orderId: ORDER_ID })
      return
    }
    if (request.url?.includes('/receipts?from=') === true) {
      const from = Number(request.url.split('from=')[1])
      const receipts = this.receipts.slice(from, from + 2)
      const next = from + receipts.length
      sendJson(response, { receipts, next: next < this.receipts.length ? next.toString() : null })
      return
    }
    const header = request.headers[REQUEST_HEADER]
    if (header === undefined) {
      sendJson(response, { error: { code: 'PAYMENT_REQUIRED', message: 'Pay.' }, payment: { maxFee: '25' } }, 402)
      return
    }
    this.arrived.push(`${body.toString()} ${String(header)}`)
    const signedRequest = decodeRequestHeader(header)
    const isStream = (JSON.parse(body.toString()) as { stream?: boolean }).stream === true
    const answered = isStream
      ? 'data: {"choices":[{"delta":{"content":"4"}}]}\n\ndata: [DONE]\n\n'
      : `{"asked":${signedRequest.request.index.toString()}}`
    const { body: content, signed } = this.#answer(requestId(signedRequest.request), Buffer.from(answered))
    const answer = {
      body: content,
      signed,
      headers: { 'content-type': isStream ? 'text/event-stream' : 'application/json' },
      trailer: isStream ? 'event' : 'header',
    }
    const sent = this.attack(answer, { request, response, attempt: this.arrived.length })
    if (sent !== undefined) sendAnswer(response, sent)
  }

  #answer(id: Hex, body: Buffer): { readonly body: Buffer; readonly signed: SignedReceipt } {
    const known = this.#stored.get(id)
    if (known !== undefined) return known
    const signed = signReceipt({
      seq: BigInt(this.receipts.length),
      requestId: id,
      fee: FEE,
      cumulativeFee: FEE * BigInt(this.receipts.length + 1),
      responseHash: responseHash(body),
      timestamp: NOW,
    })
    this.receipts.push(signed)
    this.#stored.set(id, { body, signed })
    return { body, signed }
  }
}

export function sendAnswer(response: ServerResponse, answer: FakeAnswer): void {
  const receipt = answer.trailer === 'header' ? { [RECEIPT_HEADER]: encodeReceiptHeader(answer.signed) } : {}
  response.writeHead(200, { ...answer.headers, ...receipt })
  response.end(
    answer.trailer === 'event'
      ? Buffer.concat([answer.body, Buffer.from(encodeReceiptEvent(answer.signed))])
      : answer.body,
  )
}

export function sendJson(response: ServerResponse, body: unknown, status = 200): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body, (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value)))
}
