import { ZERO_BYTES32, domainSeparator, recoverSigner, structDigest, type Address } from '@opg/protocol'
import type { StoredOrder } from './store/types.js'

/** Which captures share a transaction. One that reverts takes all others in it with it. */
export interface Grouping {
  /** `certain` may go together; of the others each list by itself, in the order of their first members. */
  captures(orders: readonly StoredOrder[]): {
    readonly certain: readonly StoredOrder[]
    readonly others: readonly (readonly StoredOrder[])[]
  }
}

/** Bytes of evidence that the escrow checks by key; of all else it asks the signer's code. */
const KEY_EVIDENCE = 65

/**
 * Certain are captures that nobody can spoil between their simulation and their block: those that the escrow itself judges
 * by an account's own key, which asks no code. What another verifier says can change in that moment (an enclave is
 * disabled, a wallet's code says no, a verifier is made to fail), so that such captures share a transaction with those of
 * their own node alone. What failed on chain before goes by itself.
 */
export function createGrouping({ chainId, escrow }: { readonly chainId: bigint; readonly escrow: Address }): Grouping {
  const separator = domainSeparator({ chainId, escrow })

  function isCertain({ opening: { terms }, capture, tries }: StoredOrder): boolean {
    if (capture === undefined || tries > 0 || terms.verifier !== escrow) return false
    const { settlement, evidence } = capture
    if (evidence.length !== 2 + 2 * KEY_EVIDENCE) return false
    const { node, evidenceKey } = terms
    const value = { node, evidenceKey, settlements: [settlement] }
    const signer = recoverSigner(structDigest(separator, { name: 'SettlementBatch', value }), evidence)
    const expected = evidenceKey === ZERO_BYTES32 ? node : `0x${evidenceKey.slice(26)}`
    return signer?.toLowerCase() === expected.toLowerCase()
  }

  return {
    captures: (orders) => {
      const certain = new Set(orders.filter(isCertain))
      const rest = orders.filter((order) => !certain.has(order))
      return {
        certain: [...certain],
        others: groupBy(rest, ({ orderId, tries, opening }) => (tries > 0 ? orderId : opening.terms.node)),
      }
    },
  }
}

/** In the order of their first members. */
export function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): readonly (readonly [T, ...T[]])[] {
  const groups = new Map<string, [T, ...T[]]>()
  for (const item of items) {
    const key = keyOf(item)
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [item])
    else group.push(item)
  }
  return [...groups.values()]
}
