import {
  type Hex,
  InvalidInputError,
  type SignedReceipt,
  type SignedRequest,
  type SignedVoucher,
  parseBytes32,
  parseSignedReceipt,
  parseSignedRequest,
  parseSignedVoucher,
  toWire,
} from '@opg/protocol'
import { ReceiptLogError } from './errors.js'

/** One line of a book's log. */
export type LogEntry =
  | { readonly type: 'order'; readonly orderId: Hex }
  | { readonly type: 'request'; readonly signed: SignedRequest; readonly voucher?: SignedVoucher | undefined }
  | { readonly type: 'refusal'; readonly requestId: Hex }
  | { readonly type: 'receipt'; readonly signed: SignedReceipt }

/** An entry as a line of JSON. */
export function writeEntry(entry: LogEntry): string {
  return JSON.stringify(toWire(entry))
}

/** Reads the lines of a book's log. @throws {ReceiptLogError} naming the first line that is wrong */
export function* readLog(lines: readonly string[], orderId: Hex): Generator<LogEntry> {
  for (const [i, line] of lines.entries()) {
    let entry: LogEntry
    try {
      entry = readEntry(JSON.parse(line) as unknown)
      if (i === 0 && (entry.type !== 'order' || entry.orderId !== orderId)) {
        throw new InvalidInputError({ field: 'orderId', expected: `the log of order ${orderId}`, value: line })
      }
    } catch (cause) {
      throw new ReceiptLogError({ line: i + 1, cause })
    }
    yield entry
  }
}

function readEntry(value: unknown): LogEntry {
  const { type, orderId, requestId, signed, voucher } = membersOf(value)
  switch (type) {
    case 'order':
      return { type, orderId: parseBytes32(orderId, 'orderId') }
    case 'request':
      return {
        type,
        signed: parseSignedRequest(signed, 'signed'),
        ...(voucher === undefined ? {} : { voucher: parseSignedVoucher(voucher, 'voucher') }),
      }
    case 'refusal':
      return { type, requestId: parseBytes32(requestId, 'requestId') }
    case 'receipt':
      return { type, signed: parseSignedReceipt(signed, 'signed') }
    default:
      throw new InvalidInputError({ field: 'type', expected: 'order, request, refusal or receipt', value: type })
  }
}

function membersOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) {
    throw new InvalidInputError({ field: 'entry', expected: 'an object', value })
  }
  return { ...value }
}
