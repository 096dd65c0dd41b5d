import { IERC20Metadata__factory, InferenceEscrow__factory, permit2Abi } from '@opg/bindings'
import { ChainUnavailableError } from '@opg/operator'
import { PERMIT2, type Address, type Hex } from '@opg/protocol'
import { Interface, isError, type JsonRpcProvider } from 'ethers'
import { captureCall, openingCall } from '../engine/calls.js'
import { revertReason } from '../engine/reverts.js'
import type { ChainReader } from './chainReader.js'
import type { Deployed } from './deployed.js'

const tokenInterface = IERC20Metadata__factory.createInterface()
const permit2Interface = new Interface(permit2Abi)
const walletInterface = new Interface([
  'function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)',
])
const escrowInterface = InferenceEscrow__factory.createInterface()
/** The whole word: its selector, and nothing after it. */
const ERC1271_MAGIC = `0x1626ba7e${'0'.repeat(56)}`
/** What a wallet may spend on judging a signature: several times what any does, and far from what would hold up an RPC. */
const WALLET_GAS = 3_000_000n

type Called =
  { readonly status: 'returned'; readonly data: Hex } | { readonly status: 'reverted'; readonly reason: string }

/** Reads by JSON-RPC, all at the latest block. */
export function createRpcReader(input: {
  readonly provider: JsonRpcProvider
  readonly deployed: Deployed
  /** Whom simulations are sent by. */
  readonly from: Address
}): ChainReader {
  const { provider, deployed, from } = input
  const { escrow, token } = deployed

  async function call(to: Address, data: string, gasLimit?: bigint): Promise<Called> {
    try {
      const answer = await provider.call({ from, to, data, ...(gasLimit === undefined ? {} : { gasLimit }) })
      return { status: 'returned', data: answer as Hex }
    } catch (error) {
      if (isError(error, 'CALL_EXCEPTION'))
        return { status: 'reverted', reason: revertReason((error.data ?? '0x') as Hex) }
      throw new ChainUnavailableError('eth_call', { cause: error })
    }
  }

  async function read<T>(what: {
    readonly to: Address
    readonly of: Interface
    readonly name: string
    readonly args: readonly unknown[]
    readonly as: (value: unknown) => T
  }): Promise<T> {
    const called = await call(what.to, what.of.encodeFunctionData(what.name, [...what.args]))
    if (called.status === 'reverted') throw new ChainUnavailableError(what.name)
    return decoded(what.name, () => what.as(what.of.decodeFunctionResult(what.name, called.data)[0]))
  }

  const hasCode = async (account: Address): Promise<boolean> => {
    try {
      return (await provider.getCode(account)) !== '0x'
    } catch (error) {
      throw new ChainUnavailableError('eth_getCode', { cause: error })
    }
  }

  return {
    hasCode,
    payer: async ({ payer, nonce }) => {
      const [code, balance, allowance, bitmap] = await Promise.all([
        hasCode(payer),
        read({ to: token, of: tokenInterface, name: 'balanceOf', args: [payer], as: uint }),
        read({ to: token, of: tokenInterface, name: 'allowance', args: [payer, PERMIT2], as: uint }),
        read({ to: PERMIT2, of: permit2Interface, name: 'nonceBitmap', args: [payer, nonce >> 8n], as: uint }),
      ])
      return { hasCode: code, balance, allowance, isNonceUsed: ((bitmap >> (nonce & 0xffn)) & 1n) === 1n }
    },
    isValidSignature: async (account, { digest, signature }) => {
      const data = walletInterface.encodeFunctionData('isValidSignature', [digest, signature])
      const called = await call(account, data, WALLET_GAS)
      return called.status === 'returned' && called.data.slice(0, ERC1271_MAGIC.length).toLowerCase() === ERC1271_MAGIC
    },
    simulateOpening: async (opening) => {
      const { data, opened } = openingCall([opening], { gasPerOrder: 0n })
      const called = await call(escrow, data)
      if (called.status === 'reverted') return { status: 'refused', reason: called.reason }
      return decoded('open', () => opened(called.data)[0] === true) ? { status: 'opens' } : { status: 'known' }
    },
    isKnownOrder: (orderId) =>
      read({
        to: escrow,
        of: escrowInterface,
        name: 'orders',
        args: [orderId],
        as: (view) => (view as { readonly openedAt: bigint }).openedAt !== 0n,
      }),
    simulateCapture: async (opening, capture) => {
      const called = await call(escrow, captureCall({ opening }, capture))
      return called.status === 'returned' ? { status: 'holds' } : { status: 'refused', reason: called.reason }
    },
    latestBlock: async () => {
      try {
        const block = await provider.getBlock('latest')
        if (block === null) throw new ChainUnavailableError('eth_getBlockByNumber')
        return { number: block.number, timestamp: block.timestamp }
      } catch (error) {
        throw new ChainUnavailableError('eth_getBlockByNumber', { cause: error })
      }
    },
  }
}

function uint(value: unknown): bigint {
  return value as bigint
}

/** What does not answer as the contract does is no answer of it. */
function decoded<T>(operation: string, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    throw new ChainUnavailableError(operation, { cause: error })
  }
}
