import { ZERO_BYTES32, domainSeparator, recoverSigner, structDigest, type Address } from '@opg/protocol'
import type { StoredOrder } from './store/types.js'

/** Which closings share a transaction. One that reverts takes all others in it with it. */
export interface Grouping {
  /** Orders with the same key may be captured together. */
  captureKey(order: StoredOrder): string
}

/** Of 65 bytes in hex. */
const KEY_SIGNATURE_LENGTH = 132

/**
 * Together go captures that nobody can spoil between their simulation and their block: those that the escrow itself
 * judges by an account's own key, which asks no code. What another verifier says can change in that moment (an enclave is
 * disabled, a wallet's code says no, a verifier is made to fail), so that such captures share a transaction with those of
 * their own node alone. What failed on chain before goes by itself.
 */
export function createGrouping({ chainId, escrow }: { readonly chainId: bigint; readonly escrow: Address }): Grouping {
  const separator = domainSeparator({ chainId, escrow })

  function isCertain({ opening: { terms }, capture }: StoredOrder): boolean {
    if (capture === undefined || terms.verifier !== escrow) return false
    // The escrow takes a key's signature of 65 bytes only; of any other form it asks the account's code.
    if (capture.evidence.length !== KEY_SIGNATURE_LENGTH) return false
    const value = { node: terms.node, evidenceKey: terms.evidenceKey, settlements: [capture.settlement] }
    const signer = recoverSigner(structDigest(separator, { name: 'SettlementBatch', value }), capture.evidence)
    const { node, evidenceKey } = terms
    const expected = evidenceKey === ZERO_BYTES32 ? node : `0x${evidenceKey.slice(26)}`
    return signer?.toLowerCase() === expected.toLowerCase()
  }

  return {
    captureKey: (order) => {
      if (order.tries > 0) return order.orderId
      return isCertain(order) ? 'certain' : order.opening.terms.node
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
