import { InvalidInputError } from './errors.js'
import type { Address, Hex } from './types.js'
import { Words } from './words.js'

/** `k` of these validators must sign a settlement. */
export interface Quorum {
  readonly k: number
  /** In any order. */
  readonly validators: readonly Address[]
}

const MAX_VALIDATORS = 255

/**
 * The `evidenceKey` by which an order pins a quorum: `keccak256(abi.encode(uint256 k, address[] validators))`, with the
 * validators in ascending order.
 *
 * @throws {InvalidInputError} if it is no quorum that `QuorumReceiptVerifier` takes
 */
export function quorumKey({ k, validators }: Quorum): Hex {
  const n = validators.length
  if (!(Number.isInteger(k) && k > 0 && k <= n && n <= MAX_VALIDATORS)) {
    throw new InvalidInputError({ field: 'k', expected: `0 < k <= n <= ${String(MAX_VALIDATORS)}`, value: k })
  }
  const words = new Words(3 + n)
  words.writeUint(0, BigInt(k), { bits: 256, field: 'k' })
  words.writeUint(1, 64n, { bits: 256, field: 'validators' })
  words.writeUint(2, BigInt(n), { bits: 256, field: 'validators' })
  let previous = 0n
  for (const [i, validator] of ascending(validators).entries()) {
    words.writeHex(3 + i, validator, { length: 20, field: 'validators' })
    if (BigInt(validator) === previous) {
      throw new InvalidInputError({ field: 'validators', expected: 'different, and none zero', value: validator })
    }
    previous = BigInt(validator)
  }
  return words.hash()
}

function ascending(validators: readonly Address[]): readonly Address[] {
  return [...validators].sort((a, b) => (BigInt(a) < BigInt(b) ? -1 : 1))
}
