import {
  type GatewayRequest,
  type Hex,
  InvalidInputError,
  gatewayInputHash,
  gatewayReferenceOf,
  gatewayText,
} from '@opg/protocol'
import type { JsonObject } from './backend.js'

/** A chat request as an OpenGradient gateway hashes it. */
export interface GatewayChat {
  /** What the gateway gets: just the text that it hashes, so that no other way to write it makes another hash. */
  readonly text: string
  readonly inputHash: Hex
  readonly reference: Hex | undefined
}

/**
 * Reads a request that a gateway's receipt is to prove. The gateway gets nothing but what is hashed, so the request must
 * say by itself what bounds its cost.
 *
 * @throws {InvalidInputError}
 */
export function readGatewayChat(body: JsonObject): GatewayChat {
  const text = gatewayText(body)
  if (typeof body['max_tokens'] !== 'number') {
    throw new InvalidInputError({ field: 'max_tokens', expected: 'a whole number', value: body['max_tokens'] })
  }
  const messages = body['messages'] as GatewayRequest['messages'] // as `gatewayText` found
  return { text, inputHash: gatewayInputHash(body), reference: gatewayReferenceOf({ messages }) }
}
