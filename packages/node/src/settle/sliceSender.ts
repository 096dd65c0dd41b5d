import { type Logger, type Sender, withMargin } from '@opg/operator'
import type { LaneLease, OutboxEntry } from '../store/outboxTypes.js'
import type { Hex } from '@opg/protocol'
import { type SettledSlice, settleSlicesCall, settledSlices } from './calls.js'
import type { Outbox } from './outbox.js'
import type { SettlePolicy } from './policy.js'

/** Sends proved slices of one allocation, together if the escrow takes all of them, otherwise one by one (E8). */
export interface SliceSender {
  send(
    lease: LaneLease,
    input: { readonly rows: readonly SettledSlice[]; readonly kind: 'settle' | 'release' },
  ): Promise<readonly OutboxEntry[]>
}

/** The gas limit grows by a quarter at a time until all slices are settled; so often at most. */
/** Credits that slices add to: of node, model and facilitator. */
const SLOTS = 3
const MAX_RAISES = 16

export function createSliceSender(dependencies: {
  readonly sender: Sender
  readonly outbox: Outbox
  readonly policy: SettlePolicy
  readonly logger: Logger
}): SliceSender {
  const { sender, outbox, policy, logger } = dependencies

  async function send(
    lease: LaneLease,
    { rows, kind }: Parameters<SliceSender['send']>[1],
  ): Promise<readonly OutboxEntry[]> {
    const [first, ...others] = rows
    if (first === undefined) return []
    const data = settleSlicesCall([first, ...others], policy)
    if ((await settledBy(data)) < rows.length) {
      if (others.length === 0) {
        logger.warn({ orderId: first.order.orderId }, 'the escrow would pass over this slice; it is tried again')
        return []
      }
      const entries: OutboxEntry[] = []
      for (const row of rows) entries.push(...(await send(lease, { rows: [row], kind })))
      return entries
    }
    const gasLimit = await gasFor(data, rows.length)
    if (gasLimit === undefined) return []
    const settlements = rows.map(({ settlement }) => settlement)
    const entry = await outbox.submit(lease, { kind, data, settlements, gasLimit })
    return entry === undefined ? [] : [entry]
  }

  async function settledBy(data: Hex, gas?: bigint): Promise<number> {
    const returned = await sender.simulate(data, gas)
    return returned === undefined ? 0 : settledSlices(returned)
  }

  /** An estimate may be too low: with too little gas the escrow does not fail, it passes over slices. */
  async function gasFor(data: Hex, count: number): Promise<bigint | undefined> {
    const estimate = await sender.estimate(data)
    if (estimate.status === 'refused') {
      logger.error({ rows: count, detail: estimate.detail }, 'the chain would not take this')
      return undefined
    }
    let gas = withMargin(estimate.gas, policy, SLOTS)
    for (let raises = 0; raises < MAX_RAISES; raises++) {
      if ((await settledBy(data, gas)) === count) return withMargin(gas, policy)
      gas += gas / 4n
    }
    logger.error({ rows: count, gas: gas.toString() }, 'no gas limit was found with which the slices are settled')
    return undefined
  }

  return { send }
}
