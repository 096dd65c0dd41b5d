import { InvalidInputError, ZERO_BYTES32, requestHash, type Hex } from '@opg/protocol'
import type { HTTPRequestContext } from '@x402/core/server'

/** Gives a request's raw body, or undefined where only its parsed form is left. */
export type ReadBody = (request: HTTPRequestContext) => Uint8Array | undefined | Promise<Uint8Array | undefined>

/**
 * The raw body where a stock server has it: none, bytes as `express.raw()` or `express.json({ verify })` (as `rawBody`)
 * leave them, or what hono still holds.
 */
export const rawBody: ReadBody = async ({ adapter }) => {
  const kept = member(member(adapter, 'req'), 'rawBody')
  if (kept instanceof Uint8Array) return kept
  const held = await heldByHono(member(member(adapter, 'c'), 'req'))
  if (held !== undefined) return held
  const isSent = adapter.getHeader('transfer-encoding') !== undefined || Number(adapter.getHeader('content-length')) > 0
  if (!isSent) return new Uint8Array()
  const body: unknown = await adapter.getBody?.()
  return body instanceof Uint8Array ? body : undefined
}

/**
 * `requestHash` of a request over HTTP, or zero where its raw body is not known: a hash over a body that was parsed and
 * written anew would be of other bytes than the client sent.
 */
export async function hashRequest(request: HTTPRequestContext | undefined, readBody: ReadBody): Promise<Hex> {
  if (request === undefined) return ZERO_BYTES32
  const body = await readBody(request)
  if (body === undefined) return ZERO_BYTES32
  try {
    return requestHash(pathOf(request), body)
  } catch (error) {
    if (error instanceof InvalidInputError) return ZERO_BYTES32
    throw error
  }
}

/** The path as the client sent it, without query: routers may have cut off the part that they are mounted at. */
export function pathOf({ adapter, path }: HTTPRequestContext): string {
  const url = adapter.getUrl()
  return URL.canParse(url) ? new URL(url).pathname : path
}

/** Hono writes a body that was read in another form anew, so only bytes that nobody has read, or read as bytes, count. */
async function heldByHono(request: unknown): Promise<Uint8Array | undefined> {
  const read = member(request, 'arrayBuffer')
  if (typeof read !== 'function') return undefined
  const isRead = member(member(request, 'raw'), 'bodyUsed') === true
  if (isRead && member(member(request, 'bodyCache'), 'arrayBuffer') === undefined) return undefined
  const bytes: unknown = await read.call(request)
  return bytes instanceof ArrayBuffer ? new Uint8Array(bytes) : undefined
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (Reflect.get(value, name) as unknown) : undefined
}
