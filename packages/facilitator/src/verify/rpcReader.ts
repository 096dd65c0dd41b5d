import { IERC20Metadata__factory, permit2Abi } from '@opg/bindings'
import { ChainUnavailableError } from '@opg/operator'
import { PERMIT2, type Address, type Hex } from '@opg/protocol'
import { Interface, isError, type JsonRpcProvider } from 'ethers'
import { approvalCall, escrowInterface, openingCall, settlementCall } from './calls.js'
import type { ChainReader } from './chainReader.js'
import type { Deployed } from './deployed.js'

const tokenInterface = IERC20Metadata__factory.createInterface()
const permit2Interface = new Interface(permit2Abi)
const walletInterface = new Interface(['function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)'])
const INTERFACES = [escrowInterface, permit2Interface]
/** The whole word: its selector, and nothing after it. */
const ERC1271_MAGIC = `0x1626ba7e${'0'.repeat(56)}`
/** What a wallet may spend on judging a signature: several times what any does, and far from what would hold up an RPC. */
const WALLET_GAS = 3_000_000n

type Called =
  | { readonly status: 'returned'; readonly data: Hex }
  | { readonly status: 'reverted'; readonly detail: string }

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
      if (isError(error, 'CALL_EXCEPTION')) return { status: 'reverted', detail: detailOf(error.data, error.reason) }
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
    try {
      return what.as(what.of.decodeFunctionResult(what.name, called.data)[0])
    } catch (error) {
      throw new ChainUnavailableError(what.name, { cause: error })
    }
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
      const calls = [approvalCall(opening), openingCall(opening)].filter((data) => data !== undefined)
      const called = await call(escrow, escrowInterface.encodeFunctionData('multicall', [calls]))
      if (called.status === 'reverted') return { status: 'refused', detail: called.detail }
      return opened(called.data) ? { status: 'opens' } : { status: 'known' }
    },
    isKnownOrder: (orderId) =>
      read({
        to: escrow,
        of: escrowInterface,
        name: 'orders',
        args: [orderId],
        as: (view) => (view as { readonly openedAt: bigint }).openedAt !== 0n,
      }),
    simulateSettlement: async (settlement) => {
      const called = await call(escrow, settlementCall(settlement))
      return called.status === 'returned' ? { status: 'holds' } : { status: 'refused', detail: called.detail }
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
  return BigInt(value as bigint)
}

/** What the last call of a `multicall` returned, as the bool that it is. */
function opened(data: Hex): boolean {
  try {
    const [results] = escrowInterface.decodeFunctionResult('multicall', data)
    return BigInt(String((results as readonly string[]).at(-1))) === 1n
  } catch (error) {
    throw new ChainUnavailableError('multicall', { cause: error })
  }
}

/** The contract's own words: the error's name and values where an interface knows it, else its selector. */
function detailOf(data: string | null, reason: string | null): string {
  for (const known of INTERFACES) {
    const parsed = data === null ? null : parseError(known, data)
    if (parsed !== null) return parsed
  }
  return data === null || data === '0x' ? (reason ?? 'no reason was given') : data.slice(0, 10)
}

function parseError(known: Interface, data: string): string | null {
  try {
    const parsed = known.parseError(data)
    if (parsed === null) return null
    const values = parsed.fragment.inputs.map((input, i) => `${input.name} ${String(parsed.args[i])}`)
    return [parsed.name, ...values].join(', ').slice(0, 300)
  } catch {
    return null // four bytes of an error that is known, and arguments that are not its
  }
}
