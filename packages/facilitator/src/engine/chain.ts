import { InferenceEscrow__factory } from '@opg/bindings'
import { ChainUnavailableError } from '@opg/operator'
import { type Address, type Hex } from '@opg/protocol'
import { type JsonRpcProvider, type Log, type TransactionReceipt, toQuantity } from 'ethers'
import type { BlockId, ChainOrder } from './store/types.js'

/** What the engine reads of an escrow. Whatever fails is a `ChainUnavailableError`, never an answer. */
export interface EngineChain {
  /** The state of orders as of a block. */
  read(orderIds: readonly Hex[], blockNumber: number): Promise<readonly ChainOrder[]>
  /** The last step of an order, if it is found among some thousand blocks up to one. */
  lastStep(orderId: Hex, blockNumber: number): Promise<Step | undefined>
}

/** How an order was opened, or closed. */
export interface Step {
  readonly isOpening: boolean
  readonly transaction: Hex
  readonly block: BlockId
  /** Base units: the order's total, where evidence settled it. */
  readonly fee: bigint | undefined
  /** Base units, where the order ended without evidence. */
  readonly refund: bigint | undefined
}

const escrowInterface = InferenceEscrow__factory.createInterface()
const READS_PER_CALL = 100
/** As many as public RPCs let be searched at once. */
const SEARCHED_AT_ONCE = 900
const SEARCHES = 10
const STEPS = (['OrderOpened', 'OrderSettled', 'OrderReleased', 'OrderReclaimed'] as const).map(
  (name) => escrowInterface.getEvent(name).topicHash,
)

export function createEngineChain({
  provider,
  escrow,
}: {
  readonly provider: JsonRpcProvider
  readonly escrow: Address
}): EngineChain {
  async function readSome(orderIds: readonly Hex[], blockNumber: number): Promise<readonly ChainOrder[]> {
    const calls = orderIds.map((orderId) => escrowInterface.encodeFunctionData('orders', [orderId]))
    const data = escrowInterface.encodeFunctionData('multicall', [calls])
    try {
      const returned = await provider.call({ to: escrow, data, blockTag: blockNumber })
      const answers = escrowInterface.decodeFunctionResult('multicall', returned)[0] as readonly Hex[]
      return orderIds.map((orderId, place) => orderOf(orderId, answers[place] ?? '0x'))
    } catch (error) {
      throw new ChainUnavailableError('orders', { cause: error })
    }
  }

  async function logsOf(
    orderId: Hex,
    range: { readonly fromBlock: string; readonly toBlock: string },
  ): Promise<readonly Log[]> {
    try {
      return await provider.getLogs({ address: escrow, topics: [STEPS, orderId], ...range })
    } catch (error) {
      throw new ChainUnavailableError('eth_getLogs', { cause: error })
    }
  }

  return {
    read: async (orderIds, blockNumber) => {
      const readings: ChainOrder[] = []
      for (let at = 0; at < orderIds.length; at += READS_PER_CALL) {
        readings.push(...(await readSome(orderIds.slice(at, at + READS_PER_CALL), blockNumber)))
      }
      return readings
    },
    lastStep: async (orderId, blockNumber) => {
      for (let search = 0, to = blockNumber; search < SEARCHES && to >= 0; search++, to -= SEARCHED_AT_ONCE) {
        const from = Math.max(0, to - SEARCHED_AT_ONCE + 1)
        const range = { fromBlock: toQuantity(from), toBlock: toQuantity(to) }
        const step = (await logsOf(orderId, range)).at(-1)
        if (step !== undefined) return stepOf(step)
      }
      return undefined
    },
  }
}

/** Orders that a transaction opened or closed, by what its events say. */
export function stepsOf(receipt: TransactionReceipt, escrow: Address): ReadonlyMap<string, Step> {
  const own = receipt.logs.filter((log) => log.address === escrow && STEPS.includes(log.topics[0] ?? ''))
  return new Map(own.map((log) => [log.topics[1] ?? '', stepOf(log)]))
}

function stepOf(log: Log): Step {
  const event = escrowInterface.parseLog(log)
  const { cumulativeFee: fee, refund } = Object(event?.args.toObject()) as {
    readonly cumulativeFee?: bigint
    readonly refund?: bigint
  }
  return {
    isOpening: event?.name === 'OrderOpened',
    transaction: log.transactionHash as Hex,
    block: { number: log.blockNumber, hash: log.blockHash as Hex },
    fee,
    refund: fee === undefined ? refund : undefined,
  }
}

function orderOf(orderId: Hex, answer: string): ChainOrder {
  const { openedAt, closed } = escrowInterface.decodeFunctionResult('orders', answer)[0] as {
    readonly openedAt: bigint
    readonly closed: boolean
  }
  return { orderId, chain: openedAt === 0n ? 'none' : closed ? 'closed' : 'open' }
}
