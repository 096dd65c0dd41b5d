import { toWire } from './codec.js'
import { InvalidInputError } from './errors.js'
import { parseSignedReceipt, parseSignedRequest, parseSignedVoucher } from './parse.js'
import type { SignedReceipt, SignedRequest, SignedVoucher } from './types.js'

/** Carries the signed request, as base64url of its JSON. */
export const REQUEST_HEADER = 'x-opg-request'
/** Carries the requester's voucher beside the request, as base64url of its JSON, where the order's verifier asks for it. */
export const VOUCHER_HEADER = 'x-opg-voucher'
/** Carries the signed receipt, as base64url of its JSON, where the answer is not streamed. */
export const RECEIPT_HEADER = 'x-opg-receipt'
/** Name of the last event of a streamed answer; its data is the signed receipt's JSON. */
export const RECEIPT_EVENT = 'receipt'
/** The longest header value that is written or read, in characters. */
export const MAX_HEADER_LENGTH = 8_192

const BASE64URL = /^[A-Za-z0-9_-]*$/

/** The value of `x-opg-request`. @throws {InvalidInputError} if it would be too long */
export function encodeRequestHeader(signed: SignedRequest): string {
  return encodeHeader(REQUEST_HEADER, toWire(signed))
}

/** Reads `x-opg-request`. @throws {InvalidInputError} naming the header, or the member that is wrong in it */
export function decodeRequestHeader(value: unknown): SignedRequest {
  return parseSignedRequest(decodeHeader(REQUEST_HEADER, value), REQUEST_HEADER)
}

/** The value of `x-opg-voucher`. @throws {InvalidInputError} if it would be too long */
export function encodeVoucherHeader(signed: SignedVoucher): string {
  return encodeHeader(VOUCHER_HEADER, toWire(signed))
}

/** Reads `x-opg-voucher`. @throws {InvalidInputError} naming the header, or the member that is wrong in it */
export function decodeVoucherHeader(value: unknown): SignedVoucher {
  return parseSignedVoucher(decodeHeader(VOUCHER_HEADER, value), VOUCHER_HEADER)
}

/** The value of `x-opg-receipt`. @throws {InvalidInputError} if it would be too long */
export function encodeReceiptHeader(signed: SignedReceipt): string {
  return encodeHeader(RECEIPT_HEADER, toWire(signed))
}

/** Reads `x-opg-receipt`. @throws {InvalidInputError} naming the header, or the member that is wrong in it */
export function decodeReceiptHeader(value: unknown): SignedReceipt {
  return parseSignedReceipt(decodeHeader(RECEIPT_HEADER, value), RECEIPT_HEADER)
}

/** The last event of a streamed answer, with the blank line that ends it. */
export function encodeReceiptEvent(signed: SignedReceipt): string {
  return `event: ${RECEIPT_EVENT}\ndata: ${JSON.stringify(toWire(signed))}\n\n`
}

/** Reads the data of a receipt event: what follows `data: `. @throws {InvalidInputError} */
export function decodeReceiptEvent(data: string): SignedReceipt {
  if (data.length > MAX_HEADER_LENGTH) throw tooLong(RECEIPT_EVENT, data.length)
  return parseSignedReceipt(parseJson(RECEIPT_EVENT, data), RECEIPT_EVENT)
}

function encodeHeader(field: string, value: unknown): string {
  const text = Buffer.from(JSON.stringify(value), 'utf8').toString('base64url')
  if (text.length > MAX_HEADER_LENGTH) throw tooLong(field, text.length)
  return text
}

function decodeHeader(field: string, value: unknown): unknown {
  if (typeof value !== 'string' || value === '') {
    throw new InvalidInputError({ field, expected: 'a header that is given once', value })
  }
  if (value.length > MAX_HEADER_LENGTH) throw tooLong(field, value.length)
  if (!BASE64URL.test(value)) {
    throw new InvalidInputError({ field, expected: 'base64url without padding', value })
  }
  return parseJson(field, Buffer.from(value, 'base64url').toString('utf8'))
}

function parseJson(field: string, text: string): unknown {
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new InvalidInputError({ field, expected: 'JSON', value: text })
  }
}

function tooLong(field: string, length: number): InvalidInputError {
  return new InvalidInputError({
    field,
    expected: `at most ${String(MAX_HEADER_LENGTH)} characters`,
    value: `${String(length)} characters`,
  })
}
