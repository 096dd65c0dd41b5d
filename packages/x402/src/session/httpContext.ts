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

function isHttp(value: unknown): value is HTTPTransportContext {
  return typeof value === 'object' && value !== null && 'request' in value
}
