import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import type { Wallet } from 'ethers'
import {
  type Hex,
  RECEIPT_HEADER,
  REQUEST_HEADER,
  type InferenceRequest,
  type Settlement,
  type SignedReceipt,
  type SignedVoucher,
  type SliceRow,
  VOUCHER_HEADER,
  decodeRequestHeader,
  decodeVoucherHeader,
  domainSeparator,
  encodeReceiptEvent,
  encodeReceiptHeader,
  parseAllocation,
  parseArray,
  parseBytes32,
  parseOrder,
  parseSlice,
  parseTerms,
  receiptLeaf,
  requestId,
  responseHash,
  rootOfLeaves,
  structDigest,
} from '@opg/protocol'
import type { EscrowInfo } from '../../src/escrowInfo.js'
import { type Tab, tabOf } from '../../src/tab.js'
import { ESCROW, NOW, addressOf, asHex, nodeWallet, signReceipt } from './world.js'

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

export const FEE = 10n

export interface FakeNodeOptions {
  readonly wallet?: Wallet
  readonly escrow?: EscrowInfo
  /** Asks for a voucher with each request. */
  readonly vouchers?: boolean
}

/**
 * Stands in for a node, over real HTTP, since an honest node cannot be made to lie. It keeps an honest ledger for each
 * order or slice and stored answers for retries; `attack` says where it lies.
 */
export class FakeNode {
  readonly #server: Server
  readonly #wallet: Wallet
  readonly #escrow: EscrowInfo
  readonly #vouchers: boolean
  readonly #tabs = new Map<Hex, Tab>()
  /** The highest voucher of each order or slice. */
  readonly vouchers = new Map<Hex, SignedVoucher>()
  readonly #stored = new Map<Hex, { readonly body: Buffer; readonly signed: SignedReceipt }>()
  readonly receipts: SignedReceipt[] = []
  /** Bodies and signed requests as they arrived, one text for each attempt. */
  readonly arrived: string[] = []
  attack: Attack = (answer) => answer
  /** Takes over `POST /v1/orders`. */
  onOrder: ((response: ServerResponse, attempt: number) => void) | undefined
  #orders = 0

  private constructor({ wallet = nodeWallet, escrow = ESCROW, vouchers = false }: FakeNodeOptions) {
    this.#wallet = wallet
    this.#escrow = escrow
    this.#vouchers = vouchers
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async start(options: FakeNodeOptions = {}): Promise<FakeNode> {
    const node = new FakeNode(options)
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
      const tab = readTab(this.#escrow, body)
      if (tab.holder.node !== addressOf(this.#wallet)) {
        sendJson(response, { error: { code: 'WRONG_NODE', message: 'Not mine.' } }, 400)
        return
      }
      this.#tabs.set(tab.orderId, tab)
      sendJson(response, { status: 'admitted', orderId: tab.orderId })
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
    const { request: asked } = decodeRequestHeader(header)
    if (this.#vouchers && !this.#isVouched(asked, request.headers[VOUCHER_HEADER])) {
      sendJson(response, { error: { code: 'VOUCHER_TOO_LOW', message: 'Sign for more.' } }, 402)
      return
    }
    const isStream = (JSON.parse(body.toString()) as { stream?: boolean }).stream === true
    const answered = isStream
      ? 'data: {"choices":[{"delta":{"content":"4"}}]}\n\ndata: [DONE]\n\n'
      : `{"asked":${asked.index.toString()}}`
    const { body: content, signed } = this.#answer(asked, Buffer.from(answered))
    const answer = {
      body: content,
      signed,
      headers: { 'content-type': isStream ? 'text/event-stream' : 'application/json' },
      trailer: isStream ? 'event' : 'header',
    }
    const sent = this.attack(answer, { request, response, attempt: this.arrived.length })
    if (sent !== undefined) sendAnswer(response, sent)
  }

  /** The receipts of one order or slice, by `seq`. */
  receiptsOf(orderId: Hex): readonly SignedReceipt[] {
    return this.receipts.filter(({ receipt }) => receipt.orderId === orderId)
  }

  /** What the node settles an order or slice with. */
  settlementOf(orderId: Hex, change: Partial<Settlement> = {}): Settlement {
    const receipts = this.receiptsOf(orderId)
    return {
      orderId,
      cumulativeFee: receipts.at(-1)?.receipt.cumulativeFee ?? 0n,
      receiptsRoot: rootOfLeaves(receipts.map(({ receipt }) => receiptLeaf(receipt))),
      receiptCount: BigInt(receipts.length),
      close: true,
      ...change,
    }
  }

  /** The node's signature over one settlement. */
  evidenceFor(settlement: Settlement): Hex {
    const { holder } = this.#tabOf(settlement.orderId)
    const value = { ...holder, settlements: [settlement] }
    const digest = structDigest(domainSeparator(this.#escrow), { name: 'SettlementBatch', value })
    return asHex(this.#wallet.signingKey.sign(digest).serialized)
  }

  /** What the node gives to a relayer of `settleSlices`. */
  rowOf(sliceId: Hex): SliceRow {
    const { slice } = this.#tabOf(sliceId)
    if (slice === undefined) throw new TypeError('the order is direct')
    const settlement = this.settlementOf(sliceId)
    const { cumulativeFee: fee, receiptsRoot, receiptCount } = settlement
    return { ...slice.slice, fee, receiptsRoot, receiptCount, evidence: this.evidenceFor(settlement) }
  }

  #tabOf(orderId: Hex): Tab {
    const tab = this.#tabs.get(orderId)
    if (tab === undefined) throw new TypeError(`${orderId} was not admitted`)
    return tab
  }

  /** Whether the vouchers so far allow what was billed and this request. */
  #isVouched(request: InferenceRequest, header: unknown): boolean {
    if (header === undefined) return false
    const signed = decodeVoucherHeader(header)
    const { orderId, maxCumulativeFee } = signed.voucher
    if (maxCumulativeFee > (this.vouchers.get(orderId)?.voucher.maxCumulativeFee ?? 0n))
      this.vouchers.set(orderId, signed)
    const billed = this.receiptsOf(request.orderId).at(-1)?.receipt.cumulativeFee ?? 0n
    const vouched = this.vouchers.get(request.orderId)?.voucher.maxCumulativeFee ?? 0n
    return this.#stored.has(requestId(request)) || vouched >= billed + request.maxFee
  }

  #answer(
    { orderId, node, ...request }: InferenceRequest,
    body: Buffer,
  ): { readonly body: Buffer; readonly signed: SignedReceipt } {
    const id = requestId({ orderId, node, ...request })
    const known = this.#stored.get(id)
    if (known !== undefined) return known
    const seq = BigInt(this.receiptsOf(orderId).length)
    const signed = signReceipt(
      {
        orderId,
        node,
        seq,
        requestId: id,
        fee: FEE,
        cumulativeFee: FEE * (seq + 1n),
        responseHash: responseHash(body),
        timestamp: NOW,
      },
      this.#wallet,
      domainSeparator(this.#escrow),
    )
    this.receipts.push(signed)
    this.#stored.set(id, { body, signed })
    return { body, signed }
  }
}

/** Reads the body of `POST /v1/orders`. */
function readTab(escrow: EscrowInfo, body: Buffer): Tab {
  const { terms, order, slice } = JSON.parse(body.toString()) as {
    readonly terms: unknown
    readonly order: unknown
    readonly slice?: { readonly allocation: unknown; readonly slice: unknown; readonly proof: unknown }
  }
  const read = { terms: parseTerms(terms), order: parseOrder(order) }
  if (slice === undefined) return tabOf(escrow, read)
  const proof = parseArray(parseBytes32, 8)(slice.proof, 'proof')
  return tabOf(escrow, {
    ...read,
    slice: { allocation: parseAllocation(slice.allocation), slice: parseSlice(slice.slice), proof },
  })
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
