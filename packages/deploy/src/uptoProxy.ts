import { codes } from '@opg/bindings'
import { UPTO_PROXY } from '@opg/protocol'
import type { Chain } from './chain.js'

/** Whether the chain has the x402 upto proxy, without which stock payments cannot come. */
export async function hasUptoProxy({ provider }: Chain): Promise<boolean> {
  return (await provider.getCode(UPTO_PROXY)) !== '0x'
}

/** Puts the proxy's development twin in its place, if nothing is there. Only local chains can. */
export async function placeUptoProxy(chain: Chain): Promise<void> {
  if (await hasUptoProxy(chain)) return
  await chain.rpc.request({ method: 'anvil_setCode', params: [UPTO_PROXY, codes.DevUptoProxy.code] })
}
