import { type BaseWallet, keccak256, type TransactionLike } from 'ethers'
import type { Rpc } from './rpc.js'

/** A transaction that is about to leave. */
export interface SignedTransaction {
  readonly nonce: number
  readonly hash: string
  readonly data: string
  readonly signed: string
}

interface TransactionParams {
  readonly to?: string
  readonly value?: string
  readonly data?: string
  readonly nonce: string
  readonly gas: string
  readonly gasPrice?: string
  readonly maxFeePerGas?: string
  readonly maxPriorityFeePerGas?: string
}

/**
 * An endpoint that signs `eth_sendTransaction` with a key that never leaves this process. `beforeSend` sees the
 * transaction before anybody else can: what it writes down is enough to finish sending after a kill.
 */
export function signingRpc(
  rpc: Rpc,
  wallet: BaseWallet,
  options: { readonly chainId: number; readonly beforeSend: (transaction: SignedTransaction) => void },
): Rpc {
  return {
    async request(call) {
      if (call.method === 'eth_accounts') return [wallet.address]
      if (call.method !== 'eth_sendTransaction') return await rpc.request(call)
      const [params] = call.params as readonly [TransactionParams]
      const signed = await wallet.signTransaction(toTransaction(params, options.chainId))
      options.beforeSend({ nonce: Number(params.nonce), hash: keccak256(signed), data: params.data ?? '0x', signed })
      return await rpc.request({ method: 'eth_sendRawTransaction', params: [signed] })
    },
  }
}

function toTransaction(params: TransactionParams, chainId: number): TransactionLike {
  const fees =
    params.maxFeePerGas === undefined
      ? { type: 0, gasPrice: params.gasPrice ?? null }
      : {
          type: 2,
          maxFeePerGas: params.maxFeePerGas,
          maxPriorityFeePerGas: params.maxPriorityFeePerGas ?? null,
        }
  return {
    chainId,
    to: params.to ?? null,
    value: params.value ?? 0,
    data: params.data ?? '0x',
    nonce: Number(params.nonce),
    gasLimit: params.gas,
    ...fees,
  }
}
