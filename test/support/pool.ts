import type { Log } from 'ethers'
import type { ValidatorPool } from '../../packages/bindings/src/generated/typechain/contracts/policy/ValidatorPool'

const ONE = 1n << 96n

/** What a pool of validators owes, as somebody sees it who reads its events and nothing else (E11). */
export interface PoolBooks {
  readonly totalWeight: bigint
  /** Base units that were divided and not paid out. */
  readonly divided: bigint
  weightOf(validator: string): bigint
  claimable(validator: string): bigint
}

interface Entry {
  weight: bigint
  /** In 2^-96 base units. */
  earned: bigint
}

export function poolFromEvents(pool: ValidatorPool, logs: readonly Log[]): PoolBooks {
  const entries = new Map<string, Entry>()
  const entryOf = (validator: string): Entry => {
    const entry = entries.get(validator) ?? { weight: 0n, earned: 0n }
    entries.set(validator, entry)
    return entry
  }
  let divided = 0n
  for (const log of logs) {
    const event = pool.interface.parseLog(log)
    if (event === null) throw new TypeError(`The pool does not know its own event ${log.topics[0] ?? ''}`)
    const named: Readonly<Record<string, unknown>> = event.args.toObject()
    const amount = (name: string): bigint => BigInt(String(named[name]))
    switch (event.name) {
      case 'WeightSet':
        entryOf(String(named['validator'])).weight = amount('weight')
        break
      case 'Distributed':
        divided += amount('amount')
        for (const entry of entries.values()) {
          entry.earned += entry.weight * ((amount('amount') * ONE) / amount('totalWeight'))
        }
        break
      case 'Claimed':
        divided -= amount('amount')
        entryOf(String(named['validator'])).earned -= amount('amount') * ONE
        break
    }
  }
  return {
    totalWeight: [...entries.values()].reduce((sum, { weight }) => sum + weight, 0n),
    divided,
    weightOf: (validator) => entries.get(validator)?.weight ?? 0n,
    claimable: (validator) => (entries.get(validator)?.earned ?? 0n) / ONE,
  }
}
