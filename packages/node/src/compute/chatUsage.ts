import type { TokenUsage } from '@opg/protocol'
import type { ChatRequest } from './chatRequest.js'

/** UTF-8 bytes that pass for one token where nobody counted. */
const BYTES_PER_TOKEN = 4

/** The parts of a completion, or of one piece of a stream, that billing needs. */
export interface ChatPiece {
  /** Whether it says something: a text, a refusal, a call of a tool. */
  readonly hasContent: boolean
  /** UTF-8 bytes of what it says. */
  readonly contentBytes: number
  readonly isFinished: boolean
  readonly usage: TokenUsage | undefined
  /** Whether it carries usage and nothing else: the last event of a stream that was asked to count. */
  readonly isUsageOnly: boolean
}

/** Reads what an upstream sent, or undefined where it is no completion. */
export function readChatPiece(text: string): ChatPiece | undefined {
  const piece = parse(text)
  const choices = piece?.get('choices')
  if (piece === undefined || piece.has('error') || !Array.isArray(choices)) return undefined
  const members = choices.map((choice: unknown) => membersOf(choice))
  const contents = members.map((choice) => contentOf(choice.get('delta') ?? choice.get('message')))
  const contentBytes = contents.reduce((sum, content) => sum + Buffer.byteLength(content), 0)
  return {
    hasContent: contentBytes > 0,
    contentBytes,
    isFinished: members.some((choice) => typeof choice.get('finish_reason') === 'string'),
    usage: usageOf(piece.get('usage')),
    isUsageOnly: choices.length === 0 && piece.get('usage') !== undefined && piece.get('usage') !== null,
  }
}

/**
 * What to bill where the upstream did not count, or was cut off before it did: one token for each piece that says
 * something, or for every four bytes of it if those are more; one for every four bytes of the prompt.
 */
export function estimateUsage(
  request: ChatRequest,
  sent: { readonly pieces: number; readonly contentBytes: number },
): TokenUsage {
  const output = Math.max(sent.pieces, Math.ceil(sent.contentBytes / BYTES_PER_TOKEN))
  return {
    inputTokens: BigInt(Math.ceil(request.textBytes / BYTES_PER_TOKEN)),
    outputTokens: BigInt(output),
  }
}

function usageOf(value: unknown): TokenUsage | undefined {
  const usage = membersOf(value)
  const input = usage.get('prompt_tokens')
  const output = usage.get('completion_tokens')
  return isCount(input) && isCount(output) ? { inputTokens: BigInt(input), outputTokens: BigInt(output) } : undefined
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0
}

/** All that a message says, as one text: its texts, and its calls as their JSON. */
function contentOf(message: unknown): string {
  const members = membersOf(message)
  const texts = ['content', 'reasoning_content', 'reasoning', 'refusal'].map((key) => members.get(key))
  const calls = members.get('tool_calls')
  return [
    ...texts.filter((text) => typeof text === 'string'),
    ...(Array.isArray(calls) ? [JSON.stringify(calls)] : []),
  ].join('')
}

function parse(text: string): ReadonlyMap<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? membersOf(value) : undefined
  } catch {
    return undefined
  }
}

function membersOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
}
