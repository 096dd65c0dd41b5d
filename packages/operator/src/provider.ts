import { FetchRequest, JsonRpcProvider, Network, type GetUrlResponse } from 'ethers'
import { request as httpRequest } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { buffer } from 'node:stream/consumers'
import { ChainUnavailableError } from './errors.js'

const DEFAULT_TIMEOUT_MS = 15_000
const QUANTITY = /^0x[0-9a-f]+$/i

/**
 * Connects to an RPC and reads its live chain id; nothing is assumed.
 *
 * @throws {ChainUnavailableError} if it does not answer
 */
export async function connectProvider(
  rpcUrl: string,
  { timeoutMs = DEFAULT_TIMEOUT_MS }: { readonly timeoutMs?: number } = {},
): Promise<JsonRpcProvider> {
  // Without a fixed network ethers would look for one for ever, and on the console; so its id is read first.
  const probe = open(rpcUrl, { timeoutMs, chainId: 1n })
  const answer: unknown = await probe
    .send('eth_chainId', [])
    .catch((error: unknown) => {
      throw new ChainUnavailableError('eth_chainId', { cause: error })
    })
    .finally(() => {
      probe.destroy()
    })
  // An empty answer would read as 0.
  if (typeof answer !== 'string' || !QUANTITY.test(answer)) throw new ChainUnavailableError('eth_chainId')
  return open(rpcUrl, { timeoutMs, chainId: BigInt(answer) })
}

function open(
  rpcUrl: string,
  { timeoutMs, chainId }: { readonly timeoutMs: number; readonly chainId: bigint },
): JsonRpcProvider {
  const request = new FetchRequest(rpcUrl)
  request.timeout = timeoutMs
  request.allowGzip = false
  request.getUrlFunc = post
  const network = Network.from(chainId)
  // No cache: a settler that asks again must not get the old answer.
  return new JsonRpcProvider(request, network, { staticNetwork: network, cacheTimeout: -1, batchMaxCount: 1 })
}

/** Once the time is over, the connection is closed: ethers's own leaves it open, and with it a command that is done. */
async function post({ url, method, headers, body, timeout }: FetchRequest): Promise<GetUrlResponse> {
  const send = url.startsWith('https:') ? httpsRequest : httpRequest
  return new Promise((resolve, reject) => {
    const request = send(url, { method, headers, signal: AbortSignal.timeout(timeout) }, (response) => {
      const { statusCode = 0, statusMessage = '' } = response
      // Of the headers ethers reads those of redirects and of throttling.
      const told = Object.entries(response.headers).map(([name, value]) => [name, String(value)] as const)
      buffer(response).then((bytes) => {
        resolve({ statusCode, statusMessage, headers: Object.fromEntries(told), body: bytes })
      }, reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}
