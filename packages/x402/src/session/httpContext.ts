import type { HTTPRequestContext, HTTPTransportContext } from '@x402/core/server'
import { RawBodyMissingError } from './errors.js'
import type { StoredBody } from './sessionDesk.js'

/** @throws {RawBodyMissingError} if the payment did not come over HTTP */
export function requestIn(transport: unknown): HTTPRequestContext {
  if (!isHttp(transport)) throw new RawBodyMissingError()
  return transport.request
}

/** The handler's answer. @throws {RawBodyMissingError} if there is none */
export function answerIn(transport: unknown): StoredBody {
  if (!isHttp(transport)) throw new RawBodyMissingError()
  const { responseBody = Buffer.alloc(0), responseHeaders = {} } = transport
  const type = Object.entries(responseHeaders).find(([name]) => name.toLowerCase() === 'content-type')?.[1]
  return { body: responseBody, contentType: type ?? 'application/octet-stream' }
}

/**
 * The raw bytes of a request's body, from what express (`express.raw`, `express.text`, or a `rawBody` that
 * `express.json({ verify })` put there) and hono hand on.
 *
 * @throws {RawBodyMissingError} if only a parsed body is there
 */
export async function bodyOfAdapter({ adapter }: HTTPRequestContext): Promise<Uint8Array> {
  const raw = member(member(adapter, 'req'), 'rawBody')
  if (raw instanceof Uint8Array) return raw
  const read = member(member(member(adapter, 'c'), 'req'), 'arrayBuffer')
  if (typeof read === 'function') {
    const bytes: unknown = await read.call(member(member(adapter, 'c'), 'req'))
    if (bytes instanceof ArrayBuffer) return new Uint8Array(bytes)
  }
  const body: unknown = await adapter.getBody?.()
  if (body instanceof Uint8Array) return body
  if (typeof body === 'string') return Buffer.from(body, 'utf8')
  if (body === undefined) return new Uint8Array()
  throw new RawBodyMissingError()
}

function isHttp(value: unknown): value is HTTPTransportContext {
  return typeof value === 'object' && value !== null && 'request' in value
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (Reflect.get(value, name) as unknown) : undefined
}
