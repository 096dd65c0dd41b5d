import { type Anvil, devWallets, type FlakyRpc, startAnvil, startFlakyRpc } from '@opg/devnet'
import type { Address, Hex } from '@opg/protocol'
import { type JsonRpcProvider, toQuantity, type Wallet } from 'ethers'
import { connectProvider, createSender, type Sender } from '../../src/index.js'

/** Takes any call. */
export const TAKES_ALL: Address = '0x00000000000000000000000000000000000a11ce'
/** Reverts every call, with its first 32 bytes. */
export const TAKES_NONE: Address = '0x0000000000000000000000000000000000000bad'
const REVERTS = '0x60003560005260206000fd'

/** A chain process behind a line that can break, and a sender of ours on it. */
export interface TestChain {
  readonly rpc: FlakyRpc
  /** By the line. */
  readonly provider: JsonRpcProvider
  /** Past the line. */
  readonly direct: JsonRpcProvider
  /** The sender's account, past the line. */
  readonly wallet: Wallet
  readonly sender: Sender
  senderTo(to: Address): Sender
  setAutomine(on: boolean): Promise<void>
  mine(blocks?: number): Promise<void>
  /** Replaces the last blocks by as many empty ones. */
  reorg(depth: number): Promise<void>
  /** Another transaction of the same account, at a price that is mined first. */
  take(nonce: number): Promise<Hex>
  stop(): Promise<void>
}

export async function startChain(): Promise<TestChain> {
  const anvil: Anvil = await startAnvil()
  const rpc = await startFlakyRpc(anvil.rpcUrl)
  const [provider, direct] = await Promise.all([
    connectProvider(rpc.url, { timeoutMs: 400 }),
    connectProvider(anvil.rpcUrl),
  ])
  const [wallet] = devWallets(direct, 1)
  if (wallet === undefined) throw new TypeError('no wallet')
  const { chainId } = await direct.getNetwork()
  const senderTo = (to: Address): Sender => createSender({ provider, signer: wallet, chainId, to })
  await direct.send('anvil_setCode', [TAKES_NONE, REVERTS])
  const gwei = 10n ** 9n
  return {
    rpc,
    provider,
    direct,
    wallet,
    sender: senderTo(TAKES_ALL),
    senderTo,
    setAutomine: async (on) => {
      await direct.send('evm_setAutomine', [on])
    },
    mine: async (blocks = 1) => {
      await direct.send('anvil_mine', [toQuantity(blocks)])
    },
    reorg: async (depth) => {
      await direct.send('anvil_reorg', [depth, []])
    },
    take: async (nonce) => {
      const fees = { maxFeePerGas: 900n * gwei, maxPriorityFeePerGas: 90n * gwei }
      return (await wallet.sendTransaction({ to: TAKES_ALL, nonce, gasLimit: 21_000n, ...fees })).hash as Hex
    },
    stop: async () => {
      provider.destroy()
      direct.destroy()
      await rpc.stop()
      await anvil.stop()
    },
  }
}
