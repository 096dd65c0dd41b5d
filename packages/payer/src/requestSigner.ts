import type { Signer } from 'ethers'
import {
  type Hex,
  type InferenceRequest,
  InvalidInputError,
  type SignedReceipt,
  type SignedVoucher,
  ZERO_BYTES32,
  formatOpg,
  gatewayInputHash,
  parseAddress,
  requestHash,
  requestId,
  typedData,
} from '@opg/protocol'
import type { PreparedCall, Refused } from './call.js'
import { FraudFoundError, ReceiptInvalidError, SignerMismatchError } from './errors.js'
import { checkCount, checkSeconds, checkUint } from './input.js'
import type { ReceiptBook } from './receiptBook.js'
import { signVoucher } from './signVoucher.js'

/** The spender's own limits, in base units, on top of the order's amount. */
export interface SpendLimits {
  readonly maxFeePerRequest?: bigint
  /** Over all requests of the order. */
  readonly maxTotal?: bigint
}

export interface RequestSignerOptions {
  /** The order's requester. */
  readonly requester: Signer
  /** The book of the order or slice: what was asked and answered before counts. */
  readonly book: ReceiptBook
  /** The clock, in Unix seconds. */
  readonly now: () => number
  readonly limits?: SpendLimits
  /** How long the node may take to admit a request. 300 if absent. */
  readonly requestTtlSeconds?: number
  /**
   * Signs a voucher with each request, for the total that it may lead to: what was billed, what calls under way may
   * still cost, and its own `maxFee`. For orders whose verifier is `VoucherReceiptVerifier`; the requester must be a key.
   */
  readonly vouchers?: boolean
}

type SignerParts = Required<RequestSignerOptions>

/**
 * Makes what signs the requests of one order, whichever way they travel.
 *
 * @throws {InvalidInputError} {@link SignerMismatchError} if it is not the order's requester
 */
export async function createRequestSigner(options: RequestSignerOptions): Promise<RequestSigner> {
  const { requester, book, now, limits = {}, vouchers = false } = options
  for (const field of ['maxFeePerRequest', 'maxTotal'] as const) {
    if (limits[field] !== undefined) checkUint(limits[field], { field: `limits.${field}`, bits: 96 })
  }
  const requestTtlSeconds = checkCount(options.requestTtlSeconds ?? 300, {
    field: 'requestTtlSeconds',
    min: 1,
    max: 86_400,
  })
  const expected = book.order.job.requester
  const found = parseAddress(await requester.getAddress(), 'requester')
  if (found !== expected) throw new SignerMismatchError({ field: 'order.job.requester', expected, found })
  return new RequestSigner({ requester, book, now, limits, requestTtlSeconds, vouchers })
}

/** Signs the requests of one order and takes their receipts. Calls may run at the same time. */
export class RequestSigner {
  readonly book: ReceiptBook
  readonly #parts: SignerParts
  /** Base units and indexes of calls that are being signed, and are not in the book yet. */
  #signing = 0n
  #nextIndex: bigint

  constructor(parts: SignerParts) {
    this.#parts = parts
    this.book = parts.book
    this.#nextIndex = parts.book.nextIndex
  }

  /** Base units that the order can still pay for. */
  get left(): bigint {
    return this.book.left - this.#signing
  }

  /**
   * Signs a request and notes it, under limits that hold for all calls at once.
   *
   * @throws {FraudFoundError} if the node was caught before
   * @throws {InvalidInputError}
   */
  async sign(input: {
    readonly path: string
    readonly body: Uint8Array
    /** Base units. */
    readonly maxFee: bigint
  }): Promise<{ readonly status: 'prepared'; readonly call: PreparedCall } | Refused> {
    const { path, body } = input
    this.refuseAfterFraud()
    const hash = this.hashOf(path, body)
    const maxFee = checkUint(input.maxFee, { field: 'maxFee', bits: 96 })
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
   * Keeps a receipt, and checks that it is for this call and this answer. It counts whatever the answer is worth, so it
   * is kept first.
   *
   * @throws {ReceiptInvalidError} {@link FraudFoundError}
   */
  async accept(
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

  /** @throws {FraudFoundError} if the node was caught before */
  refuseAfterFraud(): void {
    const proof = this.book.firstFraud
    if (proof !== undefined) throw new FraudFoundError(proof)
  }

  /** @throws {InvalidInputError} if the order pays for another request only */
  hashOf(path: string, body: Uint8Array): Hex {
    const hash = requestHash(path, body)
    const pinned = this.book.order.job.requestHash
    if (pinned === ZERO_BYTES32) return hash
    // Where a gateway answers, an order pins what the gateway hashes.
    const found = this.book.evidenceKind === 'gateway' ? gatewayHashOf(body) : hash
    if (found === pinned) return hash
    throw new InvalidInputError({
      field: 'body',
      expected: `the request that the order pays for, ${pinned}`,
      value: found,
    })
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
    if (maxFee > this.left) {
      const holds = formatOpg(this.left > 0n ? this.left : 0n)
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

function gatewayHashOf(body: Uint8Array): Hex {
  try {
    return gatewayInputHash(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body)))
  } catch (cause) {
    if (cause instanceof InvalidInputError) throw cause
    throw new InvalidInputError({ field: 'body', expected: 'JSON in UTF-8', value: `${String(body.length)} bytes` })
  }
}
