import { BrowserProvider, type JsonRpcApiProvider } from 'ethers'
import type { Rpc } from './rpc.js'

/** One chain: raw calls, and ethers over the same calls. */
export interface Chain {
  readonly id: number
  readonly rpc: Rpc
  readonly provider: JsonRpcApiProvider
}

/** Asks the endpoint which chain it is. @throws {RpcError} */
export async function connect(rpc: Rpc): Promise<Chain> {
  const id = Number(await rpc.request({ method: 'eth_chainId' }))
  const provider = new BrowserProvider(
    { request: async ({ method, params }) => await rpc.request({ method, params: params ?? [] }) },
    id,
    { cacheTimeout: -1 },
  )
  return { id, rpc, provider }
}
