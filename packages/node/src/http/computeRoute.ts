import type { Logger } from '@opg/operator'
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
import type { ComputeBackend, ComputePath, PreparedCall } from '../compute/backend.js'
import type { ComputeIo, PaidAnswer, PaidCall, PaidService } from '../service/types.js'
import { HttpError, errorAnswer, isInternal, refusalAnswer, type ErrorAnswer } from './errors.js'
import { errorFields } from './errorFields.js'
import { paymentBody, type NodeInfo } from './info.js'
import { parseJsonBody } from './jsonBody.js'
import { withLinkedSignal } from './linkSignals.js'
import { sendError } from './sendError.js'
import { StreamedReply } from './streamedReply.js'

export interface ComputeRouteOptions {
  readonly service: PaidService
  readonly backends: readonly ComputeBackend[]
  readonly info: NodeInfo
  readonly logger: Logger
  /** How long a client of a stream may take nothing before it counts as gone. */
  readonly stallTimeoutMs: number
  /** Ends all that runs. */
  readonly stop: AbortSignal
}

interface Work {
  readonly backend: ComputeBackend
  readonly call: PreparedCall
  readonly body: Uint8Array
}

/** Handles `POST /v1/infer` and `POST /v1/chat/completions`: one paid request. */
export function computeRoute(path: ComputePath, options: ComputeRouteOptions) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    const work = readWork(path, request, options)
    const header = request.headers[REQUEST_HEADER]
    if (header === undefined) return sendError(reply, paymentRequired(work, options))
    const signedRequest = toWire(decodeRequestHeader(header))
    const paid = {
      path,
      body: work.body,
      signedRequest,
      signedVoucher: request.headers[VOUCHER_HEADER],
      modelId: work.backend.model.modelId,
      prices: work.backend.model.prices,
      maxFeeNeeded: work.call.maxFee,
      run: (io: ComputeIo) => work.call.run(io),
    }
    if (work.call.isStreamed) return serveStream({ paid, work, reply, options })
    // The work of a buffered answer goes on when the client leaves: asking again with the same index gets it.
    const run: PaidCall['run'] = (io) =>
      withLinkedSignal([io.signal, options.stop], (signal) =>
        work.call.run({ signal, emit: (chunk) => io.emit(chunk) }),
      )
    const answer = await options.service.serve({ ...paid, run, signal: options.stop })
    if (!isAnswer(answer)) return sendError(reply, problemAnswer(answer, work, options))
    return reply
      .header(RECEIPT_HEADER, encodeReceiptHeader(answer.signedReceipt))
      .header('cache-control', 'no-store')
      .type(answer.contentType)
      .send(Buffer.from(answer.body))
  }
}

async function serveStream(input: {
  readonly paid: Omit<PaidCall, 'signal' | 'onChunk'>
  readonly work: Work
  readonly reply: FastifyReply
  readonly options: ComputeRouteOptions
}): Promise<unknown> {
  const { paid, work, reply, options } = input
  const stream = new StreamedReply(reply.raw, options.stallTimeoutMs)
  const gone = new AbortController()
  reply.raw.on('close', () => {
    gone.abort()
  })
  const start = (contentType: string): void => {
    if (stream.hasStarted) return
    reply.hijack()
    stream.start(contentType)
  }
  const onChunk = async (chunk: Uint8Array): Promise<void> => {
    start(EVENT_STREAM)
    await stream.write(chunk)
  }
  const answer = await serveOrFail(() =>
    withLinkedSignal([gone.signal, options.stop], (signal) => options.service.serve({ ...paid, signal, onChunk })),
  )
  if (gone.signal.aborted) {
    if (!stream.hasStarted) reply.hijack()
    return reply
  }
  if (!isAnswer(answer)) {
    const problem = problemAnswer(answer, work, options)
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

type Served = Extract<PaidAnswer, { readonly status: 'served' | 'replayed' }>

function isAnswer(answer: PaidAnswer): answer is Served {
  return answer.status === 'served' || answer.status === 'replayed'
}

/** Once a stream has begun, errors must not reach fastify: they become its last event. */
async function serveOrFail(serve: () => Promise<PaidAnswer>): Promise<PaidAnswer> {
  try {
    return await serve()
  } catch (cause) {
    return { status: 'failed', detail: 'the node failed', cause }
  }
}

function readWork(path: ComputePath, request: FastifyRequest, { backends }: ComputeRouteOptions): Work {
  // requestHash covers the path as it was sent; only one form of it is served.
  if (request.url !== path) {
    throw new InvalidInputError({ field: 'path', expected: `${path} without a query`, value: request.url })
  }
  const json = parseJsonBody(request.body)
  const name = json['model']
  const offered = backends.filter((backend) => backend.path === path)
  if (typeof name !== 'string') {
    throw new InvalidInputError({ field: 'model', expected: `the name of a model: ${namesOf(offered)}`, value: name })
  }
  const backend = offered.find(({ model }) => model.name === name)
  if (backend === undefined) {
    throw new HttpError(
      404,
      'MODEL_UNKNOWN',
      `This node does not offer that model under ${path}. It offers: ${namesOf(offered)}.`,
    )
  }
  const body = request.body instanceof Uint8Array ? request.body : new Uint8Array()
  return { backend, body, call: backend.prepare(json, body.length) }
}

function namesOf(backends: readonly ComputeBackend[]): string {
  return backends.map(({ model }) => model.name).join(', ') || 'none'
}

function paymentRequired(work: Work, { info }: ComputeRouteOptions): ErrorAnswer {
  return {
    status: 402,
    body: {
      error: {
        code: 'PAYMENT_REQUIRED',
        message: `Send a signed request in the header ${REQUEST_HEADER}, under an order that this node has admitted (POST /v1/orders).`,
        field: REQUEST_HEADER,
      },
      payment: paymentOf(work, info),
    },
  }
}

function problemAnswer(answer: Exclude<PaidAnswer, Served>, work: Work, options: ComputeRouteOptions): ErrorAnswer {
  if (answer.status === 'failed') {
    reportInternal(answer.cause, options.logger)
    return errorAnswer(answer.cause)
  }
  const refused = refusalAnswer(answer)
  return refused.status === 402
    ? { ...refused, body: { ...refused.body, payment: paymentOf(work, options.info) } }
    : refused
}

function paymentOf({ backend, call }: Work, info: NodeInfo): unknown {
  return paymentBody(info, { modelId: backend.model.modelId, prices: backend.model.prices, maxFee: call.maxFee })
}

function reportInternal(error: unknown, logger: Logger): void {
  if (isInternal(error)) logger.error(errorFields(error), 'a request failed inside the node')
}
