import {
  InvalidInputError,
  RECEIPT_HEADER,
  REQUEST_HEADER,
  VOUCHER_HEADER,
  decodeRequestHeader,
  encodeReceiptEvent,
  encodeReceiptHeader,
  toWire,
} from '@opg/protocol'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ComputePath } from '../compute/backend.js'
import type { ComputeIo, PaidAnswer, PaidCall } from '../service/types.js'
import { PAYMENT_HEADER } from '../x402/paymentHeader.js'
import type { AcceptedPayment, PaymentRefusal } from '../x402/types.js'
import { isAnswer, paymentRefused, paymentRequired, problemAnswer, type Buying } from './computeAnswers.js'
import { withLinkedSignal } from './linkSignals.js'
import { responseHeaders } from './paymentRequired.js'
import { readWork, type ComputeRouteOptions, type Work } from './readWork.js'
import { sendError } from './sendError.js'
import { StreamedReply } from './streamedReply.js'

type Credentials = Pick<PaidCall, 'signedRequest' | 'signedVoucher' | 'authorized'>

/** What lets one call of the payment core run. */
interface Right {
  readonly call: Credentials
  /** Undefined where the request is signed by itself. */
  readonly payment: AcceptedPayment | undefined
}

/** Handles `POST /v1/infer` and `POST /v1/chat/completions`: one paid request. */
export function computeRoute(path: ComputePath, options: ComputeRouteOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const work = readWork(path, request, options)
    const buying: Buying = { work, options, url: options.publicUrl(request) }
    const right = await rightOf(request, buying)
    if (right === undefined) return sendError(reply, paymentRequired(buying))
    if ('code' in right) return sendError(reply, paymentRefused(right, buying))
    const { call, payment } = right
    const { gateway } = work.call
    // Locked, and nobody waits: its client may ask again with the same header, until it is given back.
    if (payment !== undefined && reply.raw.destroyed) return reply.hijack()
    const paid = {
      ...call,
      path,
      body: work.body,
      modelId: work.backend.model.modelId,
      prices: work.backend.model.prices,
      maxFeeNeeded: work.call.maxFee,
      run: (io: ComputeIo) => work.call.run(io),
      gateway,
    }
    if (work.call.isStreamed) return serveStream({ paid, payment, buying, reply })
    // The work of a buffered answer goes on when the client leaves: asking again with the same index gets it.
    const linked =
      (run: PaidCall['run']): PaidCall['run'] =>
      (io) =>
        withLinkedSignal([io.signal, options.stop], (signal) => run({ signal, emit: (chunk) => io.emit(chunk) }))
    const answer = await options.service.serve({
      ...paid,
      run: linked(paid.run),
      gateway: gateway === undefined ? undefined : { ...gateway, run: linked(gateway.run) },
      signal: options.stop,
    })
    await payment?.finish(answer)
    if (!isAnswer(answer)) return sendError(reply, problemAnswer(answer, { ...buying, payment }))
    return reply
      .headers(payment === undefined ? {} : responseHeaders(payment.response(answer)))
      .header(RECEIPT_HEADER, encodeReceiptHeader(answer.signedReceipt))
      .header('cache-control', 'no-store')
      .type(answer.contentType)
      .send(Buffer.from(answer.body))
  }
}

/** By the request's own signature or by a payment; undefined where it brings neither. */
async function rightOf(
  request: FastifyRequest,
  { work, options }: Buying,
): Promise<Right | PaymentRefusal | undefined> {
  const signed = request.headers[REQUEST_HEADER]
  const paying = request.headers[PAYMENT_HEADER]
  if (signed !== undefined && paying !== undefined) {
    const expected = `absent beside ${REQUEST_HEADER}`
    throw new InvalidInputError({ field: PAYMENT_HEADER, expected, value: 'both' })
  }
  if (signed !== undefined) {
    const signedRequest = toWire(decodeRequestHeader(signed))
    return { call: { signedRequest, signedVoucher: request.headers[VOUCHER_HEADER] }, payment: undefined }
  }
  const { cashier } = options
  if (paying === undefined || cashier === undefined) return undefined
  const payment = await cashier.accept(paying, saleOf(work, request.url), options.stop)
  return payment.status === 'refused' ? payment : { call: payment.call, payment }
}

function saleOf({ backend, call, body }: Work, path: string) {
  return { path, body, modelId: backend.model.modelId, maxFee: call.maxFee }
}

async function serveStream(input: {
  readonly paid: Omit<PaidCall, 'signal' | 'onChunk'>
  readonly payment: AcceptedPayment | undefined
  readonly buying: Buying
  readonly reply: FastifyReply
}): Promise<unknown> {
  const { paid, payment, buying, reply } = input
  const { options } = buying
  const stream = new StreamedReply(reply.raw, options.stallTimeoutMs)
  const gone = new AbortController()
  reply.raw.on('close', () => {
    gone.abort()
  })
  const start = (contentType: string): void => {
    if (stream.hasStarted) return
    reply.hijack()
    stream.start(contentType, payment === undefined ? {} : responseHeaders(payment.response()))
  }
  const onChunk = async (chunk: Uint8Array): Promise<void> => {
    start(EVENT_STREAM)
    await stream.write(chunk)
  }
  const answer = await serveOrFail(async () => {
    const served = await withLinkedSignal([gone.signal, options.stop], (signal) =>
      options.service.serve({ ...paid, signal, onChunk }),
    )
    await payment?.finish(served)
    return served
  })
  if (gone.signal.aborted) {
    if (!stream.hasStarted) reply.hijack()
    return reply
  }
  if (!isAnswer(answer)) {
    const problem = problemAnswer(answer, { ...buying, payment })
    if (!stream.hasStarted) return sendError(reply, problem)
    stream.end(`event: error\ndata: ${JSON.stringify(problem.body)}\n\n`)
    return reply
  }
  start(answer.contentType)
  // A stored answer did not pass through onChunk. If its client leaves now, it can ask again.
  if (answer.status === 'replayed') await stream.write(answer.body).catch(() => undefined)
  stream.end(encodeReceiptEvent(answer.signedReceipt))
  return reply
}

const EVENT_STREAM = 'text/event-stream; charset=utf-8'

/** Once a stream has begun, errors must not reach fastify: they become its last event. */
async function serveOrFail(serve: () => Promise<PaidAnswer>): Promise<PaidAnswer> {
  try {
    return await serve()
  } catch (cause) {
    return { status: 'failed', detail: 'the node failed', cause }
  }
}
