import { constants, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { concat, getBytes, keccak256, toBeHex, toUtf8Bytes } from 'ethers'
import type { Hex } from '@opg/protocol'
import type { Behaviour } from './standInLlm.js'

/** The key of an OpenGradient gateway. */
export interface GatewayIdentity {
  readonly teeId: Hex
  /** SPKI DER. */
  readonly der: Buffer
  readonly key: KeyObject
}

/** What a gateway says and signs, and where it lies. */
export interface GatewayScript {
  readonly text: string
  /** Unix seconds; now where left out. */
  readonly timestamp?: number
  /** The text that is signed, where it is another. */
  readonly signedText?: string
  /** The request as it is hashed, where that is not as it came. */
  readonly hashed?: (request: string) => string
  /** Leaves members of the answer out, or changes them. */
  readonly changes?: Readonly<Record<string, unknown>>
}

export function gatewayIdentity(): GatewayIdentity {
  const { publicKey, privateKey: key } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const der = publicKey.export({ type: 'spki', format: 'der' })
  return { teeId: keccak256(der) as Hex, der, key }
}

/** The JSON of what a gateway answers, signed, to a request as it came. */
export function gatewayAnswer({ teeId, key }: GatewayIdentity, request: string, script: GatewayScript): string {
  const { text, signedText = text, changes = {} } = script
  const timestamp = script.timestamp ?? Math.floor(Date.now() / 1000)
  const requestHash = keccak256(toUtf8Bytes(script.hashed?.(request) ?? request))
  const outputHash = keccak256(toUtf8Bytes(signedText))
  const digest = keccak256(concat([requestHash, outputHash, toBeHex(timestamp, 32)]))
  const padded = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
  return JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    choices: [{ index: 0, message: { role: 'assistant', content: text }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 },
    tee_signature: sign('sha256', getBytes(digest), padded).toString('base64'),
    tee_request_hash: requestHash.slice(2),
    tee_output_hash: outputHash.slice(2),
    tee_timestamp: timestamp,
    tee_id: teeId,
    ...changes,
  })
}

/**
 * Answers and signs as gateways do. A gateway writes the request anew, by `json.dumps(request, sort_keys=True)`; what
 * comes written so already stays as it is, so here it is hashed as it came.
 */
export function speakAsGateway(identity: GatewayIdentity, script: GatewayScript): Behaviour {
  return (response, { text }) => {
    response.setHeader('content-type', 'application/json')
    response.end(gatewayAnswer(identity, text, script))
  }
}
