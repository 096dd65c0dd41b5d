import { NodeAnswerError, contentLines } from '@opg/payer'
import { InvalidInputError, type SignedReceipt, parseSettledExtra, responseHash, responseHasher } from '@opg/protocol'
import { decodePaymentResponseHeader } from '@x402/core/http'
import { AnswerRefusedError, reasonOf } from './errors.js'
import type { Payment } from './requestContext.js'
import { onWire } from './wire.js'

const EVENT_STREAM = /^text\/event-stream\s*(;|$)/i

export interface AnswerOptions {
  readonly host: string
  readonly payment: Payment
  readonly maxAnswerBytes: number
  /** Told of what goes wrong with a stream, before its reader is. */
  readonly onFailure: (error: unknown) => Promise<unknown>
}

/**
 * Checks a paid answer against its receipt. A stream is handed on as it comes, line by line, without its receipt, and
 * fails at its end where the receipt is missing or wrong; anything else is checked before it is handed on.
 *
 * @throws {AnswerRefusedError} {@link ReceiptInvalidError} {@link FraudFoundError}
 */
export async function checkedAnswer(response: Response, options: AnswerOptions): Promise<Response> {
  const { host, payment, maxAnswerBytes } = options
  const encoding = response.headers.get('content-encoding') ?? 'identity'
  if (encoding !== 'identity') {
    throw new AnswerRefusedError({ host, field: 'content-encoding', expected: 'absent', found: encoding })
  }
  const settled = receiptOf(response, host)
  const { status, statusText, headers } = response
  if (response.body !== null && EVENT_STREAM.test(response.headers.get('content-type') ?? '')) {
    return new Response(checkedStream(response.body, { ...options, settled }), { status, statusText, headers })
  }
  const body = await wholeBody(response, { host, limit: maxAnswerBytes })
  if (settled !== undefined) await payment.accept(settled, responseHash(body))
  else if (payment.needsReceipt) throw noReceipt(host)
  payment.end()
  const hasBody = ![101, 204, 205, 304].includes(status)
  return new Response(hasBody ? body : null, { status, statusText, headers })
}

function checkedStream(
  body: ReadableStream<Uint8Array>,
  options: AnswerOptions & { readonly settled: SignedReceipt | undefined },
): ReadableStream<Uint8Array> {
  const { host, payment, settled, onFailure } = options
  const hasher = responseHasher()
  const lines = contentLines(piecesOf(body))
  return new ReadableStream<Uint8Array>({
    pull: async (controller) => {
      try {
        const { done, value } = await lines.next()
        if (done !== true) {
          hasher.update(value)
          controller.enqueue(value)
          return
        }
        const receipt = value ?? settled
        if (receipt !== undefined) await payment.accept(receipt, hasher.digest())
        else if (payment.needsReceipt) throw noReceipt(host)
        payment.end()
        controller.close()
      } catch (cause) {
        payment.end()
        const error = cause instanceof NodeAnswerError ? streamRefused(host, cause) : cause
        await onFailure(error)
        throw error
      }
    },
    cancel: async () => {
      payment.end()
      await lines.return(undefined)
    },
  })
}

async function* piecesOf(body: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array, void> {
  const reader = body.getReader()
  try {
    for (;;) {
      const { done, value } = await onWire(() => reader.read())
      if (done) return
      yield value
    }
  } finally {
    reader.cancel().catch(() => undefined) // the connection may be gone already
  }
}

async function wholeBody(
  response: Response,
  { host, limit }: { readonly host: string; readonly limit: number },
): Promise<Uint8Array<ArrayBuffer>> {
  const pieces: Uint8Array[] = []
  let length = 0
  if (response.body !== null) {
    for await (const piece of piecesOf(response.body)) {
      length += piece.length
      if (length > limit) {
        const expected = `at most ${limit.toString()} bytes`
        throw new AnswerRefusedError({ host, field: 'body', expected, found: 'longer' })
      }
      pieces.push(piece)
    }
  }
  return new Uint8Array(Buffer.concat(pieces))
}

/** The receipt in PAYMENT-RESPONSE, if there is one. */
function receiptOf({ headers }: Response, host: string): SignedReceipt | undefined {
  const header = headers.get('payment-response')
  if (header === null) return undefined
  try {
    const settled = decodePaymentResponseHeader(header)
    const opg = settled.extra?.['opg']
    return opg === undefined ? undefined : parseSettledExtra(opg).receipt
  } catch (cause) {
    const found = cause instanceof InvalidInputError ? cause.message : reasonOf(cause)
    throw new AnswerRefusedError({ host, field: 'PAYMENT-RESPONSE', expected: 'a settlement', found, cause })
  }
}

function noReceipt(host: string): AnswerRefusedError {
  return new AnswerRefusedError({ host, field: 'receipt', expected: 'there', found: 'missing' })
}

function streamRefused(host: string, { expected, found, ...cause }: NodeAnswerError): AnswerRefusedError {
  return new AnswerRefusedError({ host, field: 'stream', expected, found, cause })
}
