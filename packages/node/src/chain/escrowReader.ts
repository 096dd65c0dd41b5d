import { ChainUnavailableError, WrongChainError } from '@opg/operator'
import { InferenceEscrow__factory } from '@opg/bindings'
import { type Address, type Hex, domainSeparator, orderSeed } from '@opg/protocol'
import { Contract, type JsonRpcProvider, isError, keccak256 } from 'ethers'
import type { ReservedSlice } from '../store/reservedSlice.js'
import type { OrderSnapshot } from '../store/types.js'

/** What the node reads of the chain. Whatever fails is a `ChainUnavailableError`, never an answer (N6). */
export interface EscrowReader {
  readonly escrow: Address
  /** The live chain id, which signatures are made under. */
  readonly chainId: bigint
  /** The chain id at the escrow's deployment, which order ids are made from (F18). */
  readonly deploymentChainId: bigint
  /** The escrow's EIP-712 domain separator. */
  readonly separator: Hex
  /** See `orderSeed`. */
  readonly seed: Hex
  /** State of an order or a slice, as deep in the chain as the policy asks for. */
  snapshot(subject: SnapshotSubject): Promise<OrderSnapshot>
  /** Unix seconds: when an order was opened; 0 where it is not known. */
  openedAt(orderId: Hex): Promise<number>
  /** keccak256 of an account's code, or undefined where there is none. */
  codeHash(account: Address): Promise<Hex | undefined>
  /** ERC-1271: whether a contract takes `signature` for its own. */
  isValidSignature(account: Address, claim: { readonly digest: Hex; readonly signature: Hex }): Promise<boolean>
  /** Base units that `account` can claim. */
  credits(account: Address): Promise<bigint>
}

/** What to look for: by its own id, or as a slice. */
export interface SnapshotSubject {
  readonly orderId: Hex
  readonly slice?: ReservedSlice | undefined
}

const ERC1271 = ['function isValidSignature(bytes32 hash, bytes signature) view returns (bytes4)']
/** The whole word: its selector, and nothing after it. */
const ERC1271_MAGIC = `0x1626ba7e${'0'.repeat(56)}`

/**
 * Reads what never changes of an escrow, and keeps it.
 *
 * @throws {WrongChainError} if nothing stands at the escrow's address
 * @throws {ChainUnavailableError} if the RPC does not answer, or not as an escrow does
 */
export async function openEscrowReader(options: {
  readonly provider: JsonRpcProvider
  readonly escrow: Address
  /** Blocks that must stand on a state before it counts; 1 is the latest block. */
  readonly confirmations: number
}): Promise<EscrowReader> {
  const { provider, escrow, confirmations } = options
  const contract = InferenceEscrow__factory.connect(escrow, provider)
  const code = await asked('eth_getCode', () => provider.getCode(escrow))
  if (code === '0x') throw new WrongChainError(`What stands at ${escrow}`, { expected: 'the escrow', found: 'no code' })
  const [{ chainId }, deploymentChainId] = await asked('deploymentChainId', () =>
    Promise.all([provider.getNetwork(), contract.deploymentChainId()]),
  )

  return {
    escrow,
    chainId,
    deploymentChainId,
    separator: domainSeparator({ chainId, escrow }),
    seed: orderSeed({ chainId: deploymentChainId, escrow }),
    snapshot: ({ orderId, slice }) =>
      asked('orders', async () => {
        const blockNumber = Math.max(0, (await provider.getBlockNumber()) - (confirmations - 1))
        const at = { blockTag: blockNumber }
        const [view, slices] = await Promise.all([
          contract.orders(slice?.routedId ?? orderId, at),
          slice === undefined ? undefined : contract.unsettledSlices(slice.allocationId, at),
        ])
        const isKnown = view.openedAt !== 0n && slices?.known !== false
        const isClosed = view.closed || (slices !== undefined && ((slices.bitmap >> indexOf(slice)) & 1n) === 0n)
        return {
          state: !isKnown ? 'missing' : isClosed ? 'closed' : 'open',
          amount: slice?.allocation.cap ?? view.amount,
          // A slice releases all that it ever does with its one settlement, which closes it.
          released: slice === undefined ? view.released : 0n,
          networkBps: Number(view.networkBps),
          royaltyBps: Number(view.royaltyBps),
          blockNumber,
        }
      }),
    openedAt: (orderId) => asked('orders', async () => Number((await contract.orders(orderId)).openedAt)),
    codeHash: (account) =>
      asked('eth_getCode', async () => {
        const code = await provider.getCode(account)
        return code === '0x' ? undefined : (keccak256(code) as Hex)
      }),
    isValidSignature: (account, { digest, signature }) =>
      asked('isValidSignature', async () => {
        const wallet = new Contract(account, ERC1271, provider)
        try {
          const call = wallet.interface.encodeFunctionData('isValidSignature', [digest, signature])
          const answer = await provider.call({ to: account, data: call })
          return answer.slice(0, ERC1271_MAGIC.length).toLowerCase() === ERC1271_MAGIC
        } catch (error) {
          // The wallet itself said no; any other failure says nothing of the signature.
          if (isError(error, 'CALL_EXCEPTION')) return false
          throw error
        }
      }),
    credits: (account) => asked('credits', () => contract.credits(account)),
  }
}

function indexOf(slice: ReservedSlice | undefined): bigint {
  return BigInt(slice?.slice.index ?? 0)
}

async function asked<T>(operation: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw new ChainUnavailableError(operation, { cause: error })
  }
}
