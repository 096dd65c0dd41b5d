import { setTimeout as sleep } from 'node:timers/promises'
import { permit2CreationCode, permit2Salt } from '@opg/bindings'
import { DETERMINISTIC_DEPLOYER, PERMIT2 } from '@opg/protocol'
import { concat, toQuantity } from 'ethers'
import type { Chain } from './chain.js'
import type { Rpc } from './rpc.js'

const GAS = 4_000_000
const POLL_MS = 50

/** Puts Permit2 on its canonical address, if it is not there. Only local chains lack it. */
export async function deployPermit2(
  chain: Chain,
  options: { readonly signer: Rpc; readonly from: string },
): Promise<void> {
  const { provider } = chain
  if ((await provider.getCode(PERMIT2)) !== '0x') return
  const [nonce, fees] = await Promise.all([
    provider.getTransactionCount(options.from, 'pending'),
    provider.getFeeData(),
  ])
  const transaction = {
    to: DETERMINISTIC_DEPLOYER,
    data: concat([permit2Salt, permit2CreationCode]),
    nonce: toQuantity(nonce),
    gas: toQuantity(GAS),
    maxFeePerGas: toQuantity(fees.maxFeePerGas ?? 0n),
    maxPriorityFeePerGas: toQuantity(fees.maxPriorityFeePerGas ?? 0n),
  }
  await options.signer.request({ method: 'eth_sendTransaction', params: [transaction] })
  // The deployer's code can only put the real one there, so seeing code is enough.
  while ((await provider.getCode(PERMIT2)) === '0x') await sleep(POLL_MS)
}
