import { type Address, type Hex } from '@opg/protocol'
import { type JsonRpcProvider, type TransactionReceipt, isError, keccak256 } from 'ethers'
import { ChainUnavailableError } from './errors.js'

/** Signs the node's transactions; an ethers `Wallet` is one. */
export interface TransactionSigner {
  readonly address: string
  signTransaction(transaction: {
    readonly type: 2
    readonly chainId: bigint
    readonly nonce: number
    readonly to: string
    readonly data: string
    readonly value: bigint
    readonly gasLimit: bigint
    readonly maxFeePerGas: bigint
    readonly maxPriorityFeePerGas: bigint
  }): Promise<string>
}

/** Wei per gas. */
export interface GasFees {
  readonly maxFeePerGas: bigint
  readonly maxPriorityFeePerGas: bigint
}

export interface SignedTransaction {
  readonly raw: Hex
  readonly hash: Hex
}

export type GasEstimate =
  | { readonly status: 'estimated'; readonly gas: bigint }
  /** The transaction would revert, or cannot be paid for; `detail` is one line for the log. */
  | { readonly status: 'refused'; readonly detail: string }

export type CallOutcome =
  | { readonly status: 'returned'; readonly data: Hex }
  /** `data` is the error, `0x` where the chain gives none. */
  | { readonly status: 'reverted'; readonly data: Hex }

/** How the node's transactions reach the chain. Whatever fails is a `ChainUnavailableError` (N6). */
export interface Sender {
  readonly from: Address
  readonly to: Address
  estimate(data: Hex): Promise<GasEstimate>
  /** What a call would return now, with so much gas, or with as much as the chain gives; undefined if it would revert. */
  simulate(data: Hex, gas?: bigint): Promise<Hex | undefined>
  /** As `simulate`, with the reason where it would revert. */
  tryCall(data: Hex, gas?: bigint): Promise<CallOutcome>
  /** The account's native coin, in wei. */
  balance(): Promise<bigint>
  fees(): Promise<GasFees>
  /** Transactions of the account so far, those in the pool included. */
  nextNonce(): Promise<number>
  /** Transactions of the account that were mined up to a block. */
  minedNonces(blockNumber: number): Promise<number>
  sign(
    transaction: GasFees & { readonly nonce: number; readonly data: Hex; readonly gasLimit: bigint },
  ): Promise<SignedTransaction>
  /** Sends it, again and again if need be. Resolves to why the chain did not take it, if it did not. */
  broadcast(raw: Hex): Promise<string | undefined>
  /** The receipt, if the transaction stands in the chain now. */
  receipt(hash: Hex): Promise<TransactionReceipt | undefined>
  latestBlock(): Promise<{ readonly number: number; readonly timestamp: number; readonly hash: Hex }>
  /** The hash of a block, or undefined where the chain has none of that number. */
  blockHash(blockNumber: number): Promise<Hex | undefined>
}

export function createSender(input: {
  readonly provider: JsonRpcProvider
  readonly signer: TransactionSigner
  readonly chainId: bigint
  readonly to: Address
}): Sender {
  const { provider, signer, chainId, to } = input
  const from = signer.address as Address

  async function tryCall(data: Hex, gas?: bigint): Promise<CallOutcome> {
    try {
      const limit = gas === undefined ? {} : { gasLimit: gas }
      return { status: 'returned', data: (await provider.call({ from, to, data, ...limit })) as Hex }
    } catch (error) {
      if (isError(error, 'CALL_EXCEPTION')) return { status: 'reverted', data: (error.data ?? '0x') as Hex }
      throw new ChainUnavailableError('eth_call', { cause: error })
    }
  }

  return {
    from,
    to,
    tryCall,
    estimate: async (data) => {
      try {
        return { status: 'estimated', gas: await provider.estimateGas({ from, to, data }) }
      } catch (error) {
        if (isError(error, 'CALL_EXCEPTION') || isError(error, 'INSUFFICIENT_FUNDS')) {
          return { status: 'refused', detail: error.shortMessage }
        }
        throw new ChainUnavailableError('eth_estimateGas', { cause: error })
      }
    },
    simulate: async (data, gas) => {
      const outcome = await tryCall(data, gas)
      return outcome.status === 'returned' ? outcome.data : undefined
    },
    balance: () => asked('eth_getBalance', () => provider.getBalance(from)),
    fees: () =>
      asked('the gas price', async () => {
        const { maxFeePerGas, maxPriorityFeePerGas, gasPrice } = await provider.getFeeData()
        const price = maxFeePerGas ?? gasPrice ?? 0n
        return { maxFeePerGas: price, maxPriorityFeePerGas: maxPriorityFeePerGas ?? price }
      }),
    nextNonce: () => asked('eth_getTransactionCount', () => provider.getTransactionCount(from, 'pending')),
    minedNonces: (blockNumber) =>
      asked('eth_getTransactionCount', () => provider.getTransactionCount(from, Math.max(0, blockNumber))),
    sign: async ({ nonce, data, gasLimit, maxFeePerGas, maxPriorityFeePerGas }) => {
      const raw = (await signer.signTransaction({
        type: 2,
        chainId,
        nonce,
        to,
        data,
        value: 0n,
        gasLimit,
        maxFeePerGas,
        maxPriorityFeePerGas,
      })) as Hex
      return { raw, hash: keccak256(raw) as Hex }
    },
    broadcast: async (raw) => {
      try {
        await provider.send('eth_sendRawTransaction', [raw])
        return undefined
      } catch (error) {
        // "Already known", "nonce too low" and a broken line all look like this; what is true, the receipt will say.
        return problemOf(error)
      }
    },
    receipt: (hash) =>
      asked('eth_getTransactionReceipt', async () => {
        const receipt = await provider.getTransactionReceipt(hash)
        if (receipt === null) return undefined
        // A receipt of a block that a reorg has taken away is none.
        const block = await provider.getBlock(receipt.blockNumber)
        return block?.hash === receipt.blockHash ? receipt : undefined
      }),
    latestBlock: () =>
      asked('eth_getBlockByNumber', async () => {
        const block = await provider.getBlock('latest')
        if (block?.hash == null) throw new ChainUnavailableError('eth_getBlockByNumber')
        return { number: block.number, timestamp: block.timestamp, hash: block.hash as Hex }
      }),
    blockHash: (blockNumber) =>
      asked(
        'eth_getBlockByNumber',
        async () => ((await provider.getBlock(blockNumber))?.hash ?? undefined) as Hex | undefined,
      ),
  }
}

async function asked<T>(operation: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw new ChainUnavailableError(operation, { cause: error })
  }
}

/** What the RPC said, without its URL: in its own words where ethers has none, else in those of ethers. */
function problemOf(error: unknown): string {
  if (!isError(error, 'UNKNOWN_ERROR')) {
    return error instanceof Error && 'shortMessage' in error ? String(error.shortMessage) : 'no answer'
  }
  const said: unknown = (error as { readonly error?: { readonly message?: unknown } }).error?.message
  return typeof said === 'string' ? said.slice(0, 200) : error.shortMessage
}
