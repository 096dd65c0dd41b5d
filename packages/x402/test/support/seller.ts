import {
  type Address,
  type Hex,
  type InferenceReceipt,
  type SignedReceipt,
  type Terms,
  UPTO_PROXY,
  type WorkOrderPayment,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  deskAddress,
  domainSeparator,
  encodeReceiptEvent,
  parseUptoPayment,
  parseWorkOrderPayment,
  receiptDigest,
  requestHash,
  requestId,
  responseHash,
  toWire,
  uptoOrder,
} from '@opg/protocol'
import type { Devnet } from '@opg/devnet'
import { readEscrow, orderIdOf, type EscrowInfo } from '@opg/payer'
import { encodePaymentRequiredHeader, encodePaymentResponseHeader } from '@x402/core/http'
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import type { Wallet } from 'ethers'
import { once } from 'node:events'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'

export const CAP = 50n
export const FEE = 10n

/** A payment as it arrived. */
export interface Arrived {
  readonly header: string
  readonly payload: PaymentPayload
  readonly path: string
  readonly body: Buffer
}

/** What the seller is about to answer; a test changes it, or takes over the response and returns nothing. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: Buffer
  readonly receipt: SignedReceipt | undefined
}

export type Attack = (
  answer: Answer,
  http: { readonly response: ServerResponse; readonly attempt: number },
) => Answer | undefined

/**
 * Stands in for a seller over real HTTP, since an honest one cannot be made to lie. Its contracts are real; it opens no
 * orders. `offer` and `attack` say where it lies.
 */
export class Seller {
  readonly #server: Server
  readonly #devnet: Devnet
  readonly #escrow: EscrowInfo
  readonly #wallet: Wallet
  readonly arrived: Arrived[] = []
  readonly #answers = new Map<Hex, { readonly body: Buffer; readonly receipt: SignedReceipt }>()
  readonly #totals = new Map<Hex, { seq: bigint; cumulativeFee: bigint }>()
  attack: Attack = (answer) => answer
  /** What it asks for. */
  offer: (requirements: PaymentRequirements) => PaymentRequirements[] = (requirements) => [requirements]
  /** Answers before anything is asked for. */
  onUnpaid: ((response: ServerResponse) => void) | undefined
  scheme: 'work-order' | 'upto' = 'work-order'
  fee = FEE
  isStream = false

  private constructor(devnet: Devnet, escrow: EscrowInfo, wallet: Wallet) {
    this.#devnet = devnet
    this.#escrow = escrow
    this.#wallet = wallet
    this.#server = createServer((request, response) => void this.#serve(request, response))
  }

  static async start(devnet: Devnet, wallet: Wallet = devnet.wallets[1]): Promise<Seller> {
    const seller = new Seller(devnet, await readEscrow(devnet.provider, devnet.deployment.escrow), wallet)
    seller.#server.listen(0, '127.0.0.1')
    await once(seller.#server, 'listening')
    return seller
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  get origin(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`
  }

  get url(): string {
    return `${this.origin}/v1/ask`
  }

  get terms(): Terms {
    return {
      node: this.#wallet.address as Address,
      facilitator: ZERO_ADDRESS,
      facilitatorBps: 0,
      verifier: this.#devnet.deployment.keyReceiptVerifier,
      evidenceKey: ZERO_BYTES32,
      modelId: ZERO_BYTES32,
    }
  }

  /** Payments that are not the same bytes again. */
  get payments(): readonly string[] {
    return [...new Set(this.arrived.map(({ header }) => header))]
  }

  /** The signed part of the work orders that arrived. */
  get workOrders(): readonly WorkOrderPayment[] {
    return this.arrived.map(({ payload }) => parseWorkOrderPayment(payload.payload))
  }

  async requirements(): Promise<PaymentRequirements> {
    const { escrow, token, chainId, deploymentChainId } = this.#escrow
    const common = {
      network: `eip155:${chainId.toString()}` as const,
      asset: token,
      payTo: escrow,
      amount: CAP.toString(),
      maxTimeoutSeconds: 60,
    }
    if (this.scheme === 'work-order') {
      const extra = {
        terms: this.terms,
        deploymentChainId: Number(deploymentChainId),
        minAmount: 1n,
        minSecondsToClaimBy: 600,
        vouchers: false,
      }
      return { ...common, scheme: 'work-order', extra: { ...toWire(extra) } }
    }
    const { uptoAdapter } = this.#devnet.contracts
    const adapter = (await uptoAdapter.getAddress()) as Address
    const initCodeHash = (await uptoAdapter.DESK_INIT_CODE_HASH()) as Hex
    const offer = { terms: this.terms, claimWindow: 3_600 }
    const facilitatorAddress = deskAddress({ adapter, initCodeHash, offer })
    const extra = { assetTransferMethod: 'permit2', paymentFlow: 'escrow', facilitatorAddress, adapter, offer }
    return { ...common, scheme: 'upto', extra: { ...toWire(extra) } }
  }

  /** Signs a receipt with the seller's key, whatever it says. */
  sign(receipt: InferenceReceipt, wallet: Wallet = this.#wallet): SignedReceipt {
    const digest = receiptDigest(domainSeparator(this.#escrow), receipt)
    return { receipt, signature: wallet.signingKey.sign(digest).serialized as Hex, signer: { kind: 'ecdsa' } }
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const pieces: Buffer[] = []
    for await (const piece of request) pieces.push(Buffer.from(piece as Uint8Array))
    const body = Buffer.concat(pieces)
    const header = request.headers['payment-signature']
    if (typeof header !== 'string') {
      if (this.onUnpaid === undefined) await this.demand(response)
      else this.onUnpaid(response)
      return
    }
    const payload = JSON.parse(Buffer.from(header, 'base64').toString('utf8')) as PaymentPayload
    const path = new URL(request.url ?? '/', this.origin).pathname
    this.arrived.push({ header, payload, path, body })
    const answered = this.#answer(payload, { path, body })
    const type = this.isStream ? 'text/event-stream' : 'application/json'
    const answer = this.attack(
      { status: 200, headers: { 'content-type': type }, body: answered.body, receipt: answered.receipt },
      { response, attempt: this.arrived.length },
    )
    if (answer !== undefined) this.send(response, answer)
  }

  /** Asks for payment. */
  async demand(response: ServerResponse, error = 'Payment required'): Promise<void> {
    const accepts = this.offer(await this.requirements())
    const required = encodePaymentRequiredHeader({ x402Version: 2, error, resource: { url: this.url }, accepts })
    response.writeHead(402, { 'payment-required': required, 'content-type': 'application/json' }).end('{}')
  }

  send(response: ServerResponse, { status, headers, body, receipt }: Answer): void {
    if (this.isStream) {
      response.writeHead(status, headers)
      response.end(Buffer.concat([body, Buffer.from(receipt === undefined ? '' : encodeReceiptEvent(receipt))]))
      return
    }
    const settled = {
      success: true,
      transaction: '',
      network: `eip155:${this.#escrow.chainId.toString()}` as const,
      ...(receipt === undefined
        ? {}
        : { extra: { opg: toWire({ orderId: receipt.receipt.orderId, state: 'queued', receipt }) } }),
    }
    response.writeHead(status, { ...headers, 'payment-response': encodePaymentResponseHeader(settled) }).end(body)
  }

  /** An honest answer, the same again for the same request. */
  #answer(
    { accepted, payload }: PaymentPayload,
    { path, body }: { readonly path: string; readonly body: Buffer },
  ): { readonly body: Buffer; readonly receipt: SignedReceipt } {
    const request =
      accepted.scheme === 'work-order'
        ? parseWorkOrderPayment(payload).request
        : this.#uptoRequest(payload, { path, body })
    const id = requestId(request)
    const known = this.#answers.get(id)
    if (known !== undefined) return known
    const { orderId, node } = request
    const total = this.#totals.get(orderId) ?? { seq: 0n, cumulativeFee: 0n }
    const text = this.isStream
      ? `data: ${body.toString()}\n\ndata: [DONE]\n\n`
      : JSON.stringify({ echo: body.toString() })
    const answer = Buffer.from(text)
    const receipt = this.sign({
      orderId,
      node,
      seq: total.seq,
      requestId: id,
      responseHash: responseHash(answer),
      fee: this.fee,
      cumulativeFee: total.cumulativeFee + this.fee,
      timestamp: Math.floor(Date.now() / 1_000),
    })
    this.#totals.set(orderId, { seq: total.seq + 1n, cumulativeFee: total.cumulativeFee + this.fee })
    this.#answers.set(id, { body: answer, receipt })
    return { body: answer, receipt }
  }

  #uptoRequest(payload: Record<string, unknown>, { path, body }: { readonly path: string; readonly body: Buffer }) {
    const { authorization } = parseUptoPayment(payload)
    if (authorization.spender !== UPTO_PROXY) throw new TypeError('not for the proxy')
    const offer = { terms: this.terms, claimWindow: 3_600 }
    const order = uptoOrder(offer, authorization)
    return {
      orderId: orderIdOf(this.#escrow, { terms: this.terms, order }),
      node: this.terms.node,
      index: 0n,
      requestHash: requestHash(path, body),
      maxFee: order.amount,
      expiresAt: Number(authorization.deadline),
    }
  }
}
