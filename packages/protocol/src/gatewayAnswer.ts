import { canonicalJson } from './canonicalJson.js'
import { parseSmallUint } from './codec.js'
import { InvalidInputError } from './errors.js'

/** What a gateway's chat completion says, as far as its receipt goes. */
export interface GatewayAnswer {
  /** What `outputHash` is of: what the assistant says, or its calls of tools as Python writes them. */
  readonly text: string
  /** Unix seconds. */
  readonly timestamp: number
  /** `tee_signature`, in base64. */
  readonly signature: string
}

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
/** Of the longest key that a verifier takes, 4,096 bits. */
const MAX_SIGNATURE_LENGTH = 684
const readTimestamp = parseSmallUint(40)

/**
 * Reads the JSON of a gateway's chat completion that is no stream. Whether the gateway signed it is another question.
 *
 * @throws {InvalidInputError} naming the member that is missing or wrong
 */
export function parseGatewayAnswer(answer: unknown): GatewayAnswer {
  const members = membersOf(answer)
  const choices = members.get('choices')
  if (!Array.isArray(choices) || choices.length !== 1) {
    throw new InvalidInputError({ field: 'choices', expected: 'a list of one choice', value: choices })
  }
  const signature = members.get('tee_signature')
  if (typeof signature !== 'string' || signature.length > MAX_SIGNATURE_LENGTH || !BASE64.test(signature)) {
    throw new InvalidInputError({ field: 'tee_signature', expected: 'a signature in base64', value: signature })
  }
  const timestamp = readTimestamp(members.get('tee_timestamp'), 'tee_timestamp')
  return { text: textOf(membersOf(choices[0])), timestamp, signature }
}

/** What a gateway hashes of its answer: the calls of tools where it ends with them, else the text. */
function textOf(choice: ReadonlyMap<string, unknown>): string {
  const message = membersOf(choice.get('message'))
  const calls = message.get('tool_calls')
  if (choice.get('finish_reason') === 'tool_calls' && Array.isArray(calls) && calls.length > 0) {
    return canonicalJson(calls)
  }
  const content = message.get('content')
  if (typeof content === 'string') return content
  throw new InvalidInputError({ field: 'choices[0].message.content', expected: 'a text', value: content })
}

function membersOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
}
