import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import {
  type Address,
  type Hex,
  type InferenceReceipt,
  type Order,
  type SliceHolder,
  type StructName,
  type StructValues,
  type Terms,
  WITNESS_TYPE_STRING,
  allocationRoot,
  createAllocation,
  deskAddress,
  domainSeparator,
  hashStruct,
  inclusionProof,
  consistencyProof,
  leafHash,
  modelId,
  offerHash,
  orderId,
  orderSeed,
  parseInferenceReceipt,
  parseOffer,
  parseOrder,
  parseTerms,
  parseUptoPayment,
  receiptLeaf,
  requestHash,
  responseHash,
  rootOfLeaves,
  sharesOf,
  sliceId,
  sliceLeaf,
  sliceProof,
  structDigest,
  typeHash,
  uptoDigest,
  uptoFundingData,
  uptoOrder,
  verifyConsistency,
  verifyInclusion,
  workOrderHash,
  workOrderPermitDigest,
} from '../src/index.js'

interface Vectors {
  readonly typeHashes: Readonly<Record<StructName, Hex>>
  readonly witnessTypeString: string
  readonly domains: readonly { chainId: string; escrow: Address; separator: Hex; orderSeed: Hex }[]
  readonly structs: readonly { type: StructName; value: unknown; hash: Hex }[]
  readonly orders: readonly {
    chainId: string
    escrow: Address
    terms: unknown
    order: unknown
    workOrderHash: Hex
    orderId: Hex
    token: Address
    deadline: string
    permitDigest: Hex
  }[]
  readonly digests: readonly {
    chainId: string
    escrow: Address
    type: StructName
    value: unknown
    hash: Hex
    digest: Hex
  }[]
  readonly receipts: readonly { receipt: unknown; hash: Hex; leaf: Hex }[]
  readonly contents: readonly { path: string; body: Hex; requestHash: Hex; responseHash: Hex }[]
  readonly models: readonly { registrant: Address; name: string; modelId: Hex }[]
  readonly shares: readonly {
    before: string
    cumulative: string
    networkBps: number
    royaltyBps: number
    facilitatorBps: number
    node: string
    facilitator: string
    royalty: string
    network: string
  }[]
  readonly allocations: readonly {
    holders: readonly SliceHolder[]
    leaves: readonly Hex[]
    root: Hex
    proofs: readonly { indexes: readonly number[]; proof: readonly Hex[] }[]
    allocationId: Hex
    sliceIds: readonly Hex[]
  }[]
  readonly deskInitCodeHash: Hex
  readonly offers: readonly { adapter: Address; offer: unknown; offerHash: Hex; desk: Address }[]
  readonly uptoPayments: readonly {
    chainId: string
    escrow: Address
    offer: unknown
    payload: unknown
    digest: Hex
    data: Hex
    order: unknown
    orderId: Hex
  }[]
  readonly tree: {
    readonly contents: readonly Hex[]
    readonly leaves: readonly Hex[]
    readonly trees: readonly {
      size: number
      root: Hex
      inclusion: readonly { index: number; proof: readonly Hex[] }[]
      consistency: readonly { firstSize: number; proof: readonly Hex[] }[]
    }[]
  }
}

const vectors = JSON.parse(readFileSync(new URL('../vectors/protocol.json', import.meta.url), 'utf8')) as Vectors

/** Decimal strings of the file as bigints, all else as it is. */
function revive(value: unknown): unknown {
  if (typeof value === 'string') return /^[0-9]+$/.test(value) ? BigInt(value) : value
  if (Array.isArray(value)) return value.map(revive)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, revive(member)]))
}

const valueOf = (value: unknown) => revive(value) as StructValues[StructName]

describe('vectors shared with Solidity (E12)', () => {
  it('gives every type hash', () => {
    for (const [name, hash] of Object.entries(vectors.typeHashes)) expect(typeHash(name as StructName)).toBe(hash)
    expect(WITNESS_TYPE_STRING).toBe(vectors.witnessTypeString)
  })

  it.each(vectors.structs)('hashes a $type to $hash', ({ type, value, hash }) => {
    expect(hashStruct(type, valueOf(value))).toBe(hash)
  })

  it.each(vectors.domains)('separates the domain of $escrow', ({ chainId, escrow, separator, orderSeed: seed }) => {
    const context = { chainId: BigInt(chainId), escrow }
    expect(domainSeparator(context)).toBe(separator)
    expect(orderSeed(context)).toBe(seed)
  })

  it.each(vectors.orders)('gives the id and the permit digest of order $orderId', (vector) => {
    const context = { chainId: BigInt(vector.chainId), escrow: vector.escrow }
    const terms: Terms = parseTerms(vector.terms)
    const order: Order = parseOrder(vector.order)
    expect(workOrderHash(terms, order)).toBe(vector.workOrderHash)
    expect(orderId({ seed: orderSeed(context), terms, order })).toBe(vector.orderId)
    const permit = { ...context, token: vector.token, terms, order, deadline: BigInt(vector.deadline) }
    expect(workOrderPermitDigest(permit)).toBe(vector.permitDigest)
  })

  it.each(vectors.digests)('gives the digest $digest of a $type', ({ chainId, escrow, type, value, hash, digest }) => {
    const separator = domainSeparator({ chainId: BigInt(chainId), escrow })
    expect(hashStruct(type, valueOf(value))).toBe(hash)
    expect(structDigest(separator, { name: type, value: valueOf(value) })).toBe(digest)
  })

  it.each(vectors.receipts)('gives the leaf $leaf', ({ receipt, hash, leaf }) => {
    const parsed: InferenceReceipt = parseInferenceReceipt(receipt)
    expect(hashStruct('InferenceReceipt', parsed)).toBe(hash)
    expect(receiptLeaf(parsed)).toBe(leaf)
  })

  it.each(vectors.contents)('hashes the content of $path', (vector) => {
    const body = Buffer.from(vector.body.slice(2), 'hex')
    expect(requestHash(vector.path, body)).toBe(vector.requestHash)
    expect(responseHash(body)).toBe(vector.responseHash)
  })

  it.each(vectors.models)('gives the id of model "$name"', ({ registrant, name, modelId: expected }) => {
    expect(modelId({ registrant, name })).toBe(expected)
  })

  it.each(vectors.shares)('divides $before to $cumulative at $networkBps/$royaltyBps/$facilitatorBps', (vector) => {
    const { networkBps, royaltyBps, facilitatorBps } = vector
    const [before, cumulative] = [BigInt(vector.before), BigInt(vector.cumulative)]
    expect(sharesOf({ before, cumulative, networkBps, royaltyBps, facilitatorBps })).toEqual({
      node: BigInt(vector.node),
      facilitator: BigInt(vector.facilitator),
      royalty: BigInt(vector.royalty),
      network: BigInt(vector.network),
    })
  })

  it.each(vectors.allocations)('divides an order by the tree of root $root', (vector) => {
    const { holders, leaves, root, proofs, allocationId, sliceIds } = vector
    expect(holders.map(sliceLeaf)).toEqual(leaves)
    expect(allocationRoot(holders)).toBe(root)
    expect(createAllocation({ holders, cap: 1n, series: 2n })).toEqual({
      allocation: { root, count: holders.length, cap: 1n, series: 2n },
      slices: holders.map((holder, index) => ({ ...holder, index })),
    })
    for (const { indexes, proof } of proofs) expect(sliceProof(holders, indexes)).toEqual(proof)
    expect(holders.map((_, index) => sliceId(allocationId, index))).toEqual(sliceIds)
  })

  it.each(vectors.offers)('finds the desk $desk of an offer', ({ adapter, offer: value, offerHash: hash, desk }) => {
    const offer = parseOffer(value)
    expect(offerHash(offer)).toBe(hash)
    expect(deskAddress({ adapter, initCodeHash: vectors.deskInitCodeHash, offer })).toBe(desk)
  })

  it.each(vectors.uptoPayments)('reads what a stock client signed, and makes order $orderId of it', (vector) => {
    const offer = parseOffer(vector.offer)
    const { authorization, signature } = parseUptoPayment(vector.payload)
    expect(uptoDigest(BigInt(vector.chainId), authorization)).toBe(vector.digest)
    const order = uptoOrder(offer, authorization)
    expect(order).toEqual(parseOrder(vector.order))
    const seed = orderSeed({ chainId: BigInt(vector.chainId), escrow: vector.escrow })
    expect(orderId({ seed, terms: offer.terms, order })).toBe(vector.orderId)
    const { claimWindow } = offer
    expect(uptoFundingData({ claimWindow, validAfter: authorization.validAfter, signature })).toBe(vector.data)
  })

  it('hashes the leaves of the tree', () => {
    expect(vectors.tree.contents.map(leafHash)).toEqual(vectors.tree.leaves)
  })

  it.each(vectors.tree.trees)('roots and proves a tree of $size', ({ size, root, inclusion, consistency }) => {
    const leaves = vectors.tree.leaves.slice(0, size)
    expect(rootOfLeaves(leaves)).toBe(root)
    for (const { index, proof } of inclusion) {
      expect(inclusionProof(leaves, index)).toEqual(proof)
      expect(verifyInclusion({ leaf: leaves[index] ?? '0x', index, size, proof, root })).toBe(true)
    }
    for (const { firstSize, proof } of consistency) {
      expect(consistencyProof(leaves, firstSize)).toEqual(proof)
      const firstRoot = rootOfLeaves(leaves.slice(0, firstSize))
      expect(verifyConsistency({ firstSize, firstRoot, secondSize: size, secondRoot: root, proof })).toBe(true)
    }
  })
})
