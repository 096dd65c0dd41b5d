import type { Refused } from './call.js'
import { NodeAnswerError } from './errors.js'
import { type HttpOptions, callNode, nodeHttp, refusalOf } from './nodeHttp.js'
import { memberOf, readJson } from './nodeResponse.js'
import { type RequestSignerOptions, createRequestSigner } from './requestSigner.js'
import { Session } from './session.js'
import { admissionOf } from './tab.js'

export type SessionOptions = HttpOptions & RequestSignerOptions

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
  const { book } = options
  const http = nodeHttp(options)
  const requests = await createRequestSigner(options)

  const body = new TextEncoder().encode(JSON.stringify(admissionOf(book)))
  const answer = await callNode(http, { path: '/v1/orders', body, passing: PASSING, read: readJson })
  if (answer.status === 'refused') return refusalOf(answer)
  const orderId = memberOf(answer.value, 'orderId')
  if (orderId !== book.orderId) {
    throw new NodeAnswerError({ field: 'orderId', expected: book.orderId, found: String(orderId) })
  }
  return { status: 'ready', session: new Session({ http, requests }) }
}
