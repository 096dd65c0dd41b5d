import { InvalidInputError } from './errors.js'
import type { Hex } from './types.js'
import { WORD, bytesOfHex, hexOf, keccak } from './words.js'

/**
 * An append-only tree in the shape of RFC 9162, kept as the roots of its full subtrees, largest first: one for each
 * bit that is set in `size`. That is all that appending and the root need.
 */
export interface MerkleTree {
  /** Leaves, a safe integer. */
  readonly size: number
  /** bytes32 each. */
  readonly frontier: readonly Hex[]
}

/** The tree without a leaf. */
export const EMPTY_TREE: MerkleTree = { size: 0, frontier: [] }

/** Root of the empty tree: `keccak256("")`. */
export const EMPTY_ROOT: Hex = keccak(new Uint8Array())

const LEAF_PREFIX = 0x00
const NODE_PREFIX = 0x01
const SIZE_BYTES = 8

/** `keccak256(0x00 ‖ content)`: no leaf can pass for an inner node. */
export function leafHash(content: Hex): Hex {
  return prefixed(LEAF_PREFIX, [content])
}

/** `keccak256(0x01 ‖ left ‖ right)`. */
export function nodeHash(left: Hex, right: Hex): Hex {
  return prefixed(NODE_PREFIX, [left, right])
}

/** The tree with one more leaf. O(log n); `tree` stays as it is. */
export function appendLeaf(tree: MerkleTree, leaf: Hex): MerkleTree {
  const frontier = tree.frontier.slice()
  let joined = bytes32(leaf)
  // Each low bit set in the size is a full subtree as large as the one at hand.
  for (let rest = tree.size; rest % 2 === 1; rest = Math.floor(rest / 2)) {
    joined = nodeHash(popLast(frontier), joined)
  }
  frontier.push(joined)
  return { size: tree.size + 1, frontier }
}

/** Root of the tree. O(log n). */
export function treeRoot(tree: MerkleTree): Hex {
  return tree.frontier.length === 0 ? EMPTY_ROOT : tree.frontier.reduceRight((right, left) => nodeHash(left, right))
}

/** Root of the tree of these leaves. */
export function rootOfLeaves(leaves: readonly Hex[]): Hex {
  return treeRoot(leaves.reduce(appendLeaf, EMPTY_TREE))
}

/** The tree for a database: its size in 8 bytes, big-endian, then its frontier. At most 1,704 bytes. */
export function packTree(tree: MerkleTree): Uint8Array {
  const packed = new Uint8Array(SIZE_BYTES + tree.frontier.length * WORD)
  new DataView(packed.buffer).setBigUint64(0, BigInt(tree.size))
  tree.frontier.forEach((hash, i) => {
    packed.set(bytesOf32(hash), SIZE_BYTES + i * WORD)
  })
  return packed
}

/** Reads what `packTree` wrote. @throws {InvalidInputError} if it is of another length than its size asks for */
export function unpackTree(packed: Uint8Array): MerkleTree {
  if (packed.length < SIZE_BYTES) throw notPacked(packed)
  const size = Number(new DataView(packed.buffer, packed.byteOffset, packed.byteLength).getBigUint64(0))
  if (!Number.isSafeInteger(size) || packed.length !== SIZE_BYTES + popcount(size) * WORD) throw notPacked(packed)
  const frontier: Hex[] = []
  for (let at = SIZE_BYTES; at < packed.length; at += WORD) {
    frontier.push(hexOf(packed.subarray(at, at + WORD)))
  }
  return { size, frontier }
}

function prefixed(prefix: number, hashes: readonly Hex[]): Hex {
  const bytes = new Uint8Array(1 + hashes.length * WORD)
  bytes[0] = prefix
  hashes.forEach((hash, i) => {
    bytes.set(bytesOf32(hash), 1 + i * WORD)
  })
  return keccak(bytes)
}

function bytesOf32(hash: Hex): Uint8Array {
  const bytes = bytesOfHex(hash)
  if (bytes?.length !== WORD) throw new InvalidInputError({ field: 'hash', expected: '32 bytes', value: hash })
  return bytes
}

function bytes32(hash: Hex): Hex {
  bytesOf32(hash)
  return hash
}

function popLast(frontier: Hex[]): Hex {
  const last = frontier.pop()
  if (last === undefined) {
    throw new InvalidInputError({
      field: 'tree.frontier',
      expected: 'one hash for each bit set in tree.size',
      value: frontier,
    })
  }
  return last
}

function popcount(size: number): number {
  let count = 0
  for (let rest = size; rest > 0; rest = Math.floor(rest / 2)) count += rest % 2
  return count
}

function notPacked(packed: Uint8Array): InvalidInputError {
  return new InvalidInputError({
    field: 'tree',
    expected: 'a size of 8 bytes and 32 bytes for each bit set in it',
    value: `${String(packed.length)} bytes`,
  })
}
