import { InvalidInputError, ZERO_BYTES32, requestHash, type Hex } from '@opg/protocol'
import type { HTTPRequestContext } from '@x402/core/server'

/** Gives a request's raw body, or undefined where only its parsed form is left. */
export type ReadBody = (request: HTTPRequestContext) => Uint8Array | undefined | Promise<Uint8Array | undefined>

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

/** The raw body where a stock server has it: none, or bytes as `express.raw()` leaves them. */
export const rawBody: ReadBody = async ({ adapter }) => {
  const body: unknown = await adapter.getBody?.()
  if (body instanceof Uint8Array) return body
  const isSent = adapter.getHeader('transfer-encoding') !== undefined || Number(adapter.getHeader('content-length')) > 0
  return isSent ? undefined : new Uint8Array()
}

/** As the client sent it: routers may have cut off the part that they are mounted at. */
function pathOf({ adapter, path }: HTTPRequestContext): string {
  const url = adapter.getUrl()
  return URL.canParse(url) ? new URL(url).pathname : path
}
