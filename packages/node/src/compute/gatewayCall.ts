import {
  type GatewayRequest,
  type Hex,
  InvalidInputError,
  canonicalJson,
  gatewayInputHash,
  gatewayReferenceOf,
} from '@opg/protocol'
import type { JsonObject } from './backend.js'
import type { ChatRequest } from './chatRequest.js'

/** A chat request as an OpenGradient gateway hashes it. */
export interface GatewayChat {
  /** What the gateway gets: just the text that it hashes, so that no other way to write it makes another hash. */
  readonly canonical: string
  readonly inputHash: Hex
  readonly reference: Hex | undefined
}

/**
 * Reads a request that a gateway's receipt is to prove. The gateway gets it as it came, so it must say by itself what
 * bounds its cost, and ask for one answer that is whole.
 *
 * @throws {InvalidInputError}
 */
export function readGatewayChat(body: JsonObject, request: ChatRequest): GatewayChat {
  if (request.isStreamed) refuse('stream', 'absent, as a gateway signs whole answers', body)
  if (request.forward['n'] !== 1) refuse('n', 'absent, as a gateway signs one answer', body)
  if (typeof body['max_tokens'] !== 'number') refuse('max_tokens', 'a whole number, as the order hashes it', body)
  const messages = body['messages'] as GatewayRequest['messages'] // read by `readChatRequest`
  return {
    canonical: canonicalJson(body),
    inputHash: gatewayInputHash(body),
    reference: gatewayReferenceOf({ messages }),
  }
}

function refuse(field: string, expected: string, body: JsonObject): never {
  throw new InvalidInputError({ field, expected, value: body[field] })
}
