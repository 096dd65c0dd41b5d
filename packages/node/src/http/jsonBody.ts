import { InvalidInputError } from '@opg/protocol'
import type { JsonObject } from '../compute/backend.js'

/** Deeper than any request needs to be, and far from what would fill the stack. */
const MAX_DEPTH = 64

const QUOTE = 0x22
const BACKSLASH = 0x5c
const BRACKETS = { openList: 0x5b, closeList: 0x5d, openObject: 0x7b, closeObject: 0x7d } as const
/** Keeps nothing of one text for the next. */
const utf8 = new TextDecoder('utf-8', { fatal: true })

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
    return JSON.parse(utf8.decode(bytes)) as unknown
  } catch {
    throw new InvalidInputError({
      field,
      expected: 'JSON in UTF-8',
      value: `${String(bytes.length)} bytes of something else`,
    })
  }
}

function depthOf(bytes: Uint8Array): number {
  const { openList, closeList, openObject, closeObject } = BRACKETS
  let depth = 0
  let deepest = 0
  let isText = false
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]
    if (byte === QUOTE) isText = !isText
    else if (isText) {
      if (byte === BACKSLASH) i++
    } else if (byte === openList || byte === openObject) {
      depth += 1
      if (depth > deepest) deepest = depth
    } else if (byte === closeList || byte === closeObject) depth -= 1
  }
  return deepest
}
