import type { Signer } from 'ethers'
import { parseAddress } from '@opg/protocol'
import type { Refused } from './call.js'
import { NodeAnswerError, SignerMismatchError } from './errors.js'
import { checkCount, checkUint } from './input.js'
import { type HttpOptions, callNode, memberOf, nodeHttp, readJson, refusalOf } from './nodeHttp.js'
import type { ReceiptBook } from './receiptBook.js'
import { Session, type SpendLimits } from './session.js'
import { admissionOf } from './tab.js'

export interface SessionOptions extends HttpOptions {
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

/** Opening is not the node's to see at once: its own view of the chain may lag. */
const PASSING = ['ORDER_NOT_OPEN']

/**
 * Hands the order, or the slice, to its node and opens a session on it.
 *
 * @throws {InvalidInputError} {@link SignerMismatchError} {@link NodeAnswerError} {@link NodeUnavailableError}
 */
export async function createSession(
  options: SessionOptions,
): Promise<{ readonly status: 'ready'; readonly session: Session } | Refused> {
  const { requester, book, now, limits = {}, vouchers = false } = options
  const http = nodeHttp(options)
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

  const body = new TextEncoder().encode(JSON.stringify(admissionOf(book)))
  const answer = await callNode(http, { path: '/v1/orders', body, passing: PASSING, read: readJson })
  if (answer.status === 'refused') return refusalOf(answer)
  const orderId = memberOf(answer.value, 'orderId')
  if (orderId !== book.orderId) {
    throw new NodeAnswerError({ field: 'orderId', expected: book.orderId, found: String(orderId) })
  }
  return { status: 'ready', session: new Session({ http, book, requester, now, limits, requestTtlSeconds, vouchers }) }
}
