import { InvalidInputError } from '@opg/protocol'
import type { JsonObject } from './backend.js'

export interface ChatLimits {
  /** The most output tokens that one request may ask for. */
  readonly maxOutputTokens: number
  /** What a request gets that names no bound; where undefined, such a request is refused. */
  readonly defaultOutputTokens?: number | undefined
}

/** A chat completion that was read and found good. */
export interface ChatRequest {
  readonly isStreamed: boolean
  /** Whether the client asked for the usage event of the stream. */
  readonly wantsUsage: boolean
  /** Bound of the output tokens, over all choices. */
  readonly maxOutputTokens: number
  /** UTF-8 bytes of the messages' texts. */
  readonly textBytes: number
  /** What goes to the upstream, less the model's name. */
  readonly forward: JsonObject
}

/** What is passed on as it is. Anything else is refused: it might cost more than the bounds say. */
const PASSED: readonly string[] = [
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'frequency_penalty',
  'presence_penalty',
  'repetition_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'seed',
  'stop',
  'response_format',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'reasoning_effort',
  'user',
]
const READ: readonly string[] = [
  'model',
  'messages',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'stream',
  'stream_options',
]
const MAX_CHOICES = 8
const ROLES: readonly unknown[] = ['system', 'developer', 'user', 'assistant', 'tool', 'function']

/**
 * Reads the body of `POST /v1/chat/completions`: OpenAI's, as far as its cost has a bound. Contents are texts, since
 * the tokens of an image do not follow from its bytes.
 *
 * @throws {InvalidInputError} naming the member that is wrong
 */
export function readChatRequest(body: JsonObject, limits: ChatLimits): ChatRequest {
  for (const key of Object.keys(body)) {
    if (!PASSED.includes(key) && !READ.includes(key)) {
      throw new InvalidInputError({
        field: key.slice(0, 40),
        expected: 'absent, as this node does not know it',
        value: 'present',
      })
    }
  }
  const textBytes = readMessages(body['messages'])
  const isStreamed = optional(body, 'stream', isBoolean, 'true or false') ?? false
  const choices = optional(body, 'n', integerUpTo(MAX_CHOICES), `a whole number from 1 to ${String(MAX_CHOICES)}`) ?? 1
  const perChoice = readOutputBound(body, limits)
  const bound = body['max_completion_tokens'] === undefined ? 'max_tokens' : 'max_completion_tokens'
  const passed = Object.entries(body).filter(([key]) => PASSED.includes(key))
  return {
    isStreamed,
    wantsUsage: readWantsUsage(body, isStreamed),
    maxOutputTokens: perChoice * choices,
    textBytes,
    forward: {
      ...Object.fromEntries(passed),
      messages: body['messages'],
      n: choices,
      [bound]: perChoice,
      stream: isStreamed,
      // Usage is what the fee is computed from.
      ...(isStreamed ? { stream_options: { include_usage: true } } : {}),
    },
  }
}

function readOutputBound(body: JsonObject, limits: ChatLimits): number {
  const { maxOutputTokens, defaultOutputTokens } = limits
  const expected = `a whole number from 1 to ${String(maxOutputTokens)}`
  const given = (['max_tokens', 'max_completion_tokens'] as const).flatMap(
    (field) => optional(body, field, integerUpTo(maxOutputTokens), expected) ?? [],
  )
  const bound = given.length === 0 ? defaultOutputTokens : Math.max(...given)
  if (bound === undefined) throw new InvalidInputError({ field: 'max_tokens', expected, value: undefined })
  return bound
}

function readWantsUsage(body: JsonObject, isStreamed: boolean): boolean {
  const options = body['stream_options']
  if (options === undefined || options === null) return false
  if (!isStreamed) {
    throw new InvalidInputError({ field: 'stream_options', expected: 'absent unless stream is true', value: options })
  }
  if (!isObject(options))
    throw new InvalidInputError({ field: 'stream_options', expected: 'an object', value: options })
  const wants = membersOf(options).get('include_usage') ?? false
  if (typeof wants !== 'boolean') {
    throw new InvalidInputError({ field: 'stream_options.include_usage', expected: 'true or false', value: wants })
  }
  return wants
}

function readMessages(messages: unknown): number {
  if (!Array.isArray(messages) || messages.length === 0) {
    throw new InvalidInputError({ field: 'messages', expected: 'a list of at least one message', value: messages })
  }
  return messages.reduce<number>(
    (bytes, message: unknown, index) => bytes + readMessage(message, `messages[${String(index)}]`),
    0,
  )
}

function readMessage(message: unknown, field: string): number {
  if (!isObject(message)) throw new InvalidInputError({ field, expected: 'an object', value: message })
  const members = membersOf(message)
  const role = members.get('role')
  if (!ROLES.includes(role)) {
    throw new InvalidInputError({ field: `${field}.role`, expected: `one of ${ROLES.join(', ')}`, value: role })
  }
  const content = members.get('content')
  // An assistant's message that only calls tools has none.
  if ((content === undefined || content === null) && role === 'assistant') return 0
  if (typeof content === 'string') return Buffer.byteLength(content)
  if (!Array.isArray(content)) {
    throw new InvalidInputError({
      field: `${field}.content`,
      expected: 'a text or a list of text parts',
      value: content,
    })
  }
  return content.reduce<number>(
    (bytes, part: unknown, index) => bytes + readPart(part, `${field}.content[${String(index)}]`),
    0,
  )
}

function readPart(part: unknown, field: string): number {
  const members = membersOf(isObject(part) ? part : {})
  const text = members.get('text')
  if (members.get('type') !== 'text' || typeof text !== 'string') {
    throw new InvalidInputError({
      field,
      expected: '{ "type": "text", "text": … }, as only texts are sold',
      value: part,
    })
  }
  return Buffer.byteLength(text)
}

function optional<T>(
  body: JsonObject,
  field: string,
  is: (value: unknown) => value is T,
  expected: string,
): T | undefined {
  const value = Object.hasOwn(body, field) ? body[field] : undefined
  // Clients send null for what they leave open.
  if (value === undefined || value === null) return undefined
  if (!is(value)) throw new InvalidInputError({ field, expected, value })
  return value
}

function integerUpTo(max: number): (value: unknown) => value is number {
  return (value): value is number => Number.isInteger(value) && Number(value) >= 1 && Number(value) <= max
}

function isBoolean(value: unknown): value is boolean {
  return typeof value === 'boolean'
}

function membersOf(value: object): ReadonlyMap<string, unknown> {
  return new Map(Object.entries(value))
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
