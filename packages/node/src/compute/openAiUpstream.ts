import { quoteMaxFee, type Hex, type TokenUsage } from '@opg/protocol'
import type { ComputedAnswer, ComputeIo, GatewayCall } from '../service/types.js'
import type { ComputeBackend, JsonObject, ModelOffer, PreparedCall } from './backend.js'
import { readChatRequest, type ChatLimits, type ChatRequest } from './chatRequest.js'
import { estimateUsage, readChatPiece } from './chatUsage.js'
import { ComputeError, ModelLoadError } from './errors.js'
import { readGatewayChat } from './gatewayCall.js'
import { readEvents } from './sse.js'
import { callUpstream, type UpstreamAnswer, type UpstreamOptions } from './upstreamCall.js'

export interface OpenAiUpstreamOptions extends UpstreamOptions {
  readonly model: ModelOffer
  /** What the upstream calls the model. */
  readonly upstreamModel: string
  readonly limits: ChatLimits
  /** bytes32 each: the teeIds of the OpenGradient gateways that the upstream is, where it is one. */
  readonly gatewayTeeIds?: readonly Hex[]
  /** The longest buffered answer, in bytes. */
  readonly maxAnswerBytes?: number
}

const MAX_ANSWER_BYTES = 8 * 1024 * 1024

/**
 * Sells a model of any server that speaks OpenAI's chat completions, under `POST /v1/chat/completions`. The fee follows
 * from the `usage` that the server counts; a request's cost is bounded by its bytes and its `max_tokens`.
 *
 * @throws {ModelLoadError} if a gateway is to know the model by another name: it hashes the name that requests have
 */
export function createOpenAiUpstream(options: OpenAiUpstreamOptions): ComputeBackend {
  const { model, maxAnswerBytes = MAX_ANSWER_BYTES, gatewayTeeIds: teeIds = [] } = options
  if (teeIds.length > 0 && options.upstreamModel !== model.name) {
    throw new ModelLoadError(model.name, 'a gateway must know it by this name. Leave upstreamModel out.')
  }
  const prepare = (body: JsonObject, bodyBytes: number): PreparedCall => {
    const request = readChatRequest(body, options.limits)
    const maxTokens = { maxInputTokens: BigInt(bodyBytes), maxOutputTokens: BigInt(request.maxOutputTokens) }
    const ask = async (forward: string, io: ComputeIo): Promise<ComputedAnswer> => {
      const upstream = await callUpstream(options, { body: forward, signal: io.signal })
      const { usage, contentType } = request.isStreamed
        ? await relayStream(request, upstream, io)
        : await relayBody(request, upstream, { io, maxAnswerBytes })
      return { usage: atMost(usage, maxTokens), contentType }
    }
    const gateway: GatewayCall = {
      teeIds,
      read: () => readGatewayChat(body),
      run: (io) => ask(readGatewayChat(body).text, io),
    }
    return {
      maxFee: quoteMaxFee(model.prices, maxTokens),
      isStreamed: request.isStreamed,
      run: (io) => ask(JSON.stringify({ ...request.forward, model: options.upstreamModel }), io),
      ...(teeIds.length === 0 ? {} : { gateway }),
    }
  }
  return { path: '/v1/chat/completions', model, prepare, close: () => Promise.resolve() }
}

async function relayBody(
  request: ChatRequest,
  answer: UpstreamAnswer,
  { io, maxAnswerBytes }: { readonly io: ComputeIo; readonly maxAnswerBytes: number },
): Promise<ComputedAnswer> {
  const chunks: Uint8Array[] = []
  let length = 0
  for await (const chunk of answer.chunks) {
    length += chunk.length
    if (length > maxAnswerBytes) {
      throw new ComputeError(
        'ANSWER_TOO_LARGE',
        `The model server's answer is over ${String(maxAnswerBytes)} bytes. Nothing is billed.`,
      )
    }
    chunks.push(chunk)
  }
  const body = Buffer.concat(chunks)
  const piece = readChatPiece(body.toString('utf8'))
  if (piece === undefined) throw malformed('an answer that is no chat completion')
  await io.emit(body)
  const usage = piece.usage ?? estimateUsage(request, { pieces: 0, contentBytes: piece.contentBytes })
  return { usage, contentType: 'application/json; charset=utf-8' }
}

/**
 * Passes a stream on, event by event. A stream that ends before it is finished has failed, unless the client left:
 * then what was sent is billed (F19).
 */
async function relayStream(request: ChatRequest, answer: UpstreamAnswer, io: ComputeIo): Promise<ComputedAnswer> {
  const hasLeft = (): boolean => io.signal.aborted
  let counted: TokenUsage | undefined
  let isFinished = false
  const sent = { pieces: 0, contentBytes: 0 }
  try {
    for await (const data of readEvents(answer.chunks)) {
      if (hasLeft()) break
      if (data === '[DONE]') {
        isFinished = true
        break
      }
      const piece = readChatPiece(data)
      if (piece === undefined) throw malformed('an event that is no piece of a chat completion')
      counted = piece.usage ?? counted
      isFinished ||= piece.isFinished
      if (piece.isUsageOnly && !request.wantsUsage) continue
      await io.emit(new TextEncoder().encode(`data: ${data.replaceAll('\n', '\ndata: ')}\n\n`))
      // Counted once it was taken: what was dropped after an abort was not sent.
      if (hasLeft()) break
      sent.pieces += piece.hasContent ? 1 : 0
      sent.contentBytes += piece.contentBytes
    }
  } catch (error) {
    if (!hasLeft()) throw error
  }
  if (hasLeft()) {
    if (sent.pieces === 0)
      throw new ComputeError('CLIENT_GONE', 'The client left before anything was sent. Nothing is billed.')
  } else {
    if (!isFinished) throw malformed('a stream that ends before its answer does')
    await io.emit(new TextEncoder().encode('data: [DONE]\n\n'))
  }
  return { usage: counted ?? estimateUsage(request, sent), contentType: 'text/event-stream; charset=utf-8' }
}

/** No upstream's count makes a request dearer than it was said to be. */
function atMost(
  usage: TokenUsage,
  { maxInputTokens, maxOutputTokens }: { readonly maxInputTokens: bigint; readonly maxOutputTokens: bigint },
): TokenUsage {
  return {
    inputTokens: usage.inputTokens < maxInputTokens ? usage.inputTokens : maxInputTokens,
    outputTokens: usage.outputTokens < maxOutputTokens ? usage.outputTokens : maxOutputTokens,
  }
}

function malformed(what: string): ComputeError {
  return new ComputeError('UPSTREAM_MALFORMED', `The model server sent ${what}. Nothing is billed.`)
}
