import { InvalidInputError } from '@opg/protocol'
import type { JsonObject } from '../compute/backend.js'
import { parseJsonObject } from '../http/jsonBody.js'

/** The x402 v2 header that carries a client's payment, in lower case as Node has it. */
export const PAYMENT_HEADER = 'payment-signature'
/** The longest value of it, in characters. A smart wallet's signatures are long. */
export const MAX_PAYMENT_LENGTH = 16_384

/** A payment whose shape is right. Nothing of it is believed. */
export interface ReadPayment {
  readonly scheme: string
  /** The requirements that the client says it pays. */
  readonly accepted: JsonObject
  /** The scheme's own part. */
  readonly payload: JsonObject
  readonly extensions: JsonObject | undefined
}

/** Reads PAYMENT-SIGNATURE: base64 of a JSON, x402 version 2. @throws {InvalidInputError} */
export function readPayment(value: unknown): ReadPayment {
  if (typeof value !== 'string' || value === '' || value.length > MAX_PAYMENT_LENGTH) {
    throw new InvalidInputError({
      field: PAYMENT_HEADER,
      expected: `a header that is given once, of at most ${String(MAX_PAYMENT_LENGTH)} characters`,
      value: typeof value === 'string' ? `${String(value.length)} characters` : value,
    })
  }
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(value)) {
    throw new InvalidInputError({ field: PAYMENT_HEADER, expected: 'base64', value })
  }
  const json = parseJsonObject(Buffer.from(value, 'base64'), PAYMENT_HEADER)
  const version = json['x402Version']
  if (version !== 2) {
    throw new InvalidInputError({ field: `${PAYMENT_HEADER}.x402Version`, expected: '2', value: version })
  }
  const accepted = memberOf(json, 'accepted')
  const scheme = accepted['scheme']
  if (typeof scheme !== 'string') {
    throw new InvalidInputError({ field: `${PAYMENT_HEADER}.accepted.scheme`, expected: 'a scheme', value: scheme })
  }
  const extensions = json['extensions'] == null ? undefined : memberOf(json, 'extensions')
  return { scheme, accepted, payload: memberOf(json, 'payload'), extensions }
}

function memberOf(json: JsonObject, name: string): JsonObject {
  const value = Object.hasOwn(json, name) ? json[name] : undefined
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError({ field: `${PAYMENT_HEADER}.${name}`, expected: 'an object', value })
  }
  return value as JsonObject
}
