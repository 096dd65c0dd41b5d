import { InvalidInputError } from '@opg/protocol'
import type { JsonObject } from '../compute/backend.js'

/** Deeper than any request needs to be, and far from what would fill the stack. */
const MAX_DEPTH = 64

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPENING: readonly number[] = [0x5b, 0x7b]
const CLOSING: readonly number[] = [0x5d, 0x7d]

/** Reads a body as a JSON object. @throws {InvalidInputError} of field `body` */
export function parseJsonBody(body: unknown): JsonObject {
  return parseJsonObject(body instanceof Uint8Array ? body : new Uint8Array(), 'body')
}

/** Reads a JSON object that is not deeper than any request needs. @throws {InvalidInputError} of that field */
export function parseJsonObject(bytes: Uint8Array, field: string): JsonObject {
  if (depthOf(bytes) > MAX_DEPTH) {
    throw new InvalidInputError({
      field,
      expected: `JSON of at most ${String(MAX_DEPTH)} levels`,
      value: 'deeper',
    })
  }
  const value = parse(bytes, field)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError({ field, expected: 'a JSON object', value })
  }
  return value as JsonObject
}

function parse(bytes: Uint8Array, field: string): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown
  } catch {
    throw new InvalidInputError({
      field,
      expected: 'JSON in UTF-8',
      value: `${String(bytes.length)} bytes of something else`,
    })
  }
}

function depthOf(bytes: Uint8Array): number {
  let depth = 0
  let deepest = 0
  let isText = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] ?? 0
    if (isText && byte === BACKSLASH) i++
    else if (byte === QUOTE) isText = !isText
    else if (isText) continue
    else if (OPENING.includes(byte)) deepest = Math.max(deepest, ++depth)
    else if (CLOSING.includes(byte)) depth--
  }
  return deepest
}
