import { InvalidInputError, type SignedReceipt, parseSignedReceipt, parseUint } from '@opg/protocol'
import { NodeAnswerError } from './errors.js'
import type { FraudProof } from './fraud.js'
import { type HttpOptions, callNode, nodeHttp } from './nodeHttp.js'
import { memberOf, readJson } from './nodeResponse.js'
import type { ReceiptBook } from './receiptBook.js'

const MAX_PAGES = 100_000
const readUint64 = parseUint(64)

/**
 * Fetches the receipts that the node has and the book does not: those of answers that never arrived.
 *
 * @returns how many were new, and the fraud that they show
 * @throws {NodeAnswerError} {@link NodeUnavailableError} {@link ReceiptInvalidError}
 */
export async function syncReceipts(
  book: ReceiptBook,
  options: HttpOptions,
): Promise<{ readonly kept: number; readonly frauds: readonly FraudProof[] }> {
  const http = nodeHttp(options)
  const frauds: FraudProof[] = []
  let kept = 0
  let from: bigint | undefined = book.nextMissing
  for (let page = 0; from !== undefined && page < MAX_PAGES; page++) {
    const path = `/v1/orders/${book.orderId}/receipts?from=${from.toString()}`
    const answer = await callNode(http, { path, read: readJson })
    if (answer.status === 'refused') {
      throw new NodeAnswerError({ field: 'receipts', expected: 'the receipts of this order', found: answer.detail })
    }
    const { receipts, next } = readPage(answer.value, from)
    for (const receipt of receipts) {
      const entry = await book.add(receipt)
      if (entry.status !== 'duplicate') kept++
      if (entry.status === 'fraud') frauds.push(entry.proof)
    }
    from = next
  }
  return { kept, frauds }
}

function readPage(
  value: unknown,
  from: bigint,
): { readonly receipts: readonly SignedReceipt[]; readonly next: bigint | undefined } {
  try {
    const list = memberOf(value, 'receipts')
    if (!Array.isArray(list)) throw new InvalidInputError({ field: 'receipts', expected: 'an array', value: list })
    const receipts = list.map((item: unknown, i) => parseSignedReceipt(item, `receipts[${String(i)}]`))
    const given = memberOf(value, 'next')
    const next = given === null ? undefined : readUint64(given, 'next')
    // Or a node could keep its client asking for ever.
    if (next !== undefined && (next <= from || receipts.length === 0)) {
      throw new InvalidInputError({ field: 'next', expected: `above ${from.toString()}, after receipts`, value: next })
    }
    return { receipts, next }
  } catch (cause) {
    if (!(cause instanceof InvalidInputError)) throw cause
    const { field, expected, found } = cause
    throw new NodeAnswerError({ field, expected, found, cause })
  }
}
