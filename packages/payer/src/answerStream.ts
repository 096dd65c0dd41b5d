import { MAX_HEADER_LENGTH, RECEIPT_EVENT, type SignedReceipt, decodeReceiptEvent } from '@opg/protocol'
import { NodeAnswerError, reasonOf } from './errors.js'

const MAX_LINE_BYTES = 1_048_576
const LINE_FEED = 0x0a
const RECEIPT_LINE = `event: ${RECEIPT_EVENT}`

/**
 * Divides a streamed answer: yields its content, line by line with their line breaks, exactly the bytes that the receipt
 * covers, and returns the receipt of its last event; undefined where the stream ended without.
 *
 * @throws {NodeAnswerError} if a line is too long, or anything but one good receipt follows the receipt event's name
 */
export async function* contentLines(
  pieces: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, SignedReceipt | undefined> {
  let pending = Buffer.alloc(0)
  let receipt: string | undefined
  for await (const piece of pieces) {
    pending = Buffer.concat([pending, piece])
    let start = 0
    for (let end = pending.indexOf(LINE_FEED); end >= 0; end = pending.indexOf(LINE_FEED, start)) {
      const line = pending.subarray(start, end + 1)
      start = end + 1
      if (receipt !== undefined) receipt += line.toString('utf8')
      else if (textOf(line) === RECEIPT_LINE) receipt = ''
      else yield line
    }
    pending = pending.subarray(start)
    if (pending.length > MAX_LINE_BYTES) {
      const expected = `lines of at most ${MAX_LINE_BYTES.toString()} bytes`
      throw new NodeAnswerError({ field: 'stream', expected, found: 'a longer one' })
    }
    if (receipt !== undefined && receipt.length > 2 * MAX_HEADER_LENGTH) throw badReceipt('too long')
  }
  if (receipt === undefined) {
    if (pending.length > 0) yield pending
    return undefined
  }
  const [, data] = /^data: ([^\r\n]*)\r?\n\r?\n?$/.exec(receipt + pending.toString('utf8')) ?? []
  if (data === undefined) throw badReceipt('something else, or more')
  try {
    return decodeReceiptEvent(data)
  } catch (cause) {
    throw badReceipt(reasonOf(cause))
  }
}

/** Puts the lines of server-sent events together (WHATWG HTML, section 9.2). */
export class EventLines {
  #data: string[] = []
  #name = 'message'

  /** The event that this line ends, if it ends one. */
  push(line: Uint8Array): { readonly name: string; readonly data: string } | undefined {
    const text = textOf(line)
    if (text === '') {
      const event = { name: this.#name, data: this.#data.join('\n') }
      const isEvent = this.#data.length > 0
      this.#data = []
      this.#name = 'message'
      return isEvent ? event : undefined
    }
    if (text.startsWith('data:')) this.#data.push(valueOf(text, 'data:'))
    else if (text.startsWith('event:')) this.#name = valueOf(text, 'event:')
    return undefined
  }
}

function valueOf(line: string, field: string): string {
  const value = line.slice(field.length)
  return value.startsWith(' ') ? value.slice(1) : value
}

function textOf(line: Uint8Array): string {
  return Buffer.from(line.buffer, line.byteOffset, line.byteLength)
    .toString('utf8')
    .replace(/\r?\n$/, '')
}

function badReceipt(found: string): NodeAnswerError {
  return new NodeAnswerError({ field: 'stream', expected: 'one receipt in its last event', found })
}
