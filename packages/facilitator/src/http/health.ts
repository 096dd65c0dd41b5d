import type { Clock } from '@opg/operator'
import type { Engine, EngineStatus } from '../engine/types.js'
import type { ChainReader } from '../verify/chainReader.js'

export interface Health {
  readonly isHealthy: boolean
  /** What is wrong, one sentence each. */
  readonly problems: readonly string[]
  readonly blockNumber: number | undefined
  /** Undefined where the books could not be read. */
  readonly engine: EngineStatus | undefined
}

export interface HealthLimits {
  /** Wei: below it the facilitator should be topped up. */
  readonly minBalance: bigint
  /** Older pending transactions mean that something is stuck. */
  readonly maxPendingSeconds: number
}

/** Whether a facilitator can do its work now. Asked at most once a second, whoever asks. */
export function createHealth(input: {
  readonly engine: Engine
  readonly reader: ChainReader
  readonly limits: HealthLimits
  readonly clock: Clock
}): () => Promise<Health> {
  const { engine, reader, limits, clock } = input
  let last: { readonly atMs: number; readonly health: Promise<Health> } | undefined

  async function look(): Promise<Health> {
    const [block, status] = await Promise.allSettled([reader.latestBlock(), engine.status()])
    const problems = [
      ...(block.status === 'rejected' ? ['The chain does not answer.'] : []),
      ...(status.status === 'rejected'
        ? ['The books or the gas balance cannot be read.']
        : problemsOf(status.value, limits)),
    ]
    return {
      isHealthy: problems.length === 0,
      problems,
      blockNumber: block.status === 'fulfilled' ? block.value.number : undefined,
      engine: status.status === 'fulfilled' ? status.value : undefined,
    }
  }

  return () => {
    if (last === undefined || clock() - last.atMs >= 1_000) last = { atMs: clock(), health: look() }
    return last.health
  }
}

function problemsOf(status: EngineStatus, limits: HealthLimits): readonly string[] {
  const { balance, oldestPendingSeconds } = status
  return [
    ...(balance === undefined ? ['The gas money that is left is not known.'] : []),
    ...(balance !== undefined && balance < limits.minBalance
      ? [`${balance.toString()} wei of gas money are left, and ${limits.minBalance.toString()} are needed. Top up.`]
      : []),
    ...(oldestPendingSeconds > limits.maxPendingSeconds
      ? [`A transaction has been pending for ${String(oldestPendingSeconds)} seconds.`]
      : []),
  ]
}
