import { FetchRequest, JsonRpcProvider, Network } from 'ethers'
import { ChainUnavailableError } from '../errors.js'

const DEFAULT_TIMEOUT_MS = 15_000

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
  try {
    const answer: unknown = await probe.send('eth_chainId', [])
    return open(rpcUrl, { timeoutMs, chainId: BigInt(String(answer)) })
  } catch (error) {
    throw new ChainUnavailableError('eth_chainId', { cause: error })
  } finally {
    probe.destroy()
  }
}

function open(
  rpcUrl: string,
  { timeoutMs, chainId }: { readonly timeoutMs: number; readonly chainId: bigint },
): JsonRpcProvider {
  const request = new FetchRequest(rpcUrl)
  request.timeout = timeoutMs
  const network = Network.from(chainId)
  // No cache: a settler that asks again must not get the old answer.
  return new JsonRpcProvider(request, network, { staticNetwork: network, cacheTimeout: -1, batchMaxCount: 1 })
}
