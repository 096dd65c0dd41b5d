import { hashStruct, typeHash } from './hashStruct.js'
import type { Address, EscrowContext, Hex, InferenceRequest, Order, Terms, WorkOrder } from './types.js'
import { Words, keccakText } from './words.js'

const ORDER_SEED_TAG = keccakText('InferenceEscrow.order')

/** The work order that the payer signs as Permit2's witness. */
export function workOrderOf(terms: Terms, order: Order): WorkOrder {
  return { terms, job: order.job, claimBy: order.claimBy }
}

/** Struct hash of the terms: batches and sessions compute it once. */
export function termsHash(terms: Terms): Hex {
  return hashStruct('Terms', terms)
}

/** Struct hash of the work order. `terms` may be their struct hash, where many orders share them. */
export function workOrderHash(terms: Terms | Hex, order: Order): Hex {
  const words = new Words(4)
  words.writeHex(0, typeHash('WorkOrder'), { length: 32, field: 'WorkOrder' })
  words.writeHex(1, typeof terms === 'string' ? terms : termsHash(terms), { length: 32, field: 'terms' })
  words.writeHex(2, hashStruct('Job', order.job), { length: 32, field: 'job' })
  words.writeUint(3, order.claimBy, { bits: 40, field: 'claimBy' })
  return words.hash()
}

/**
 * What ties order ids to one escrow: `keccak256(abi.encode(keccak256("InferenceEscrow.order"), chainId, escrow))`.
 * `chainId` is that of the escrow's deployment (`deploymentChainId()`), not the live one (F18).
 */
export function orderSeed({ chainId, escrow }: EscrowContext): Hex {
  const words = new Words(3)
  words.writeHex(0, ORDER_SEED_TAG, { length: 32, field: 'seed' })
  words.writeUint(1, chainId, { bits: 256, field: 'chainId' })
  words.writeHex(2, escrow, { length: 20, field: 'escrow' })
  return words.hash()
}

/**
 * The id of an order: `keccak256(abi.encode(seed, payer, nonce, amount, hashStruct(WorkOrder)))`.
 * `terms` may be their struct hash, where many orders share them.
 *
 * @throws {InvalidInputError} if a member does not fit its type
 */
export function orderId(input: { readonly seed: Hex; readonly terms: Terms | Hex; readonly order: Order }): Hex {
  const { seed, terms, order } = input
  const words = new Words(5)
  words.writeHex(0, seed, { length: 32, field: 'seed' })
  words.writeHex(1, order.payer, { length: 20, field: 'payer' })
  words.writeUint(2, order.nonce, { bits: 256, field: 'nonce' })
  words.writeUint(3, order.amount, { bits: 96, field: 'amount' })
  words.writeHex(4, workOrderHash(terms, order), { length: 32, field: 'workOrder' })
  return words.hash()
}

/** The identity of a request: its struct hash. Signature bytes are never an identity (F21). */
export function requestId(request: InferenceRequest): Hex {
  return hashStruct('InferenceRequest', request)
}

/** The id of a model: `keccak256(abi.encode(registrant, name))`. */
export function modelId({ registrant, name }: { readonly registrant: Address; readonly name: string }): Hex {
  const text = new TextEncoder().encode(name)
  const words = new Words(3 + Math.ceil(text.length / 32))
  words.writeHex(0, registrant, { length: 20, field: 'registrant' })
  words.writeUint(1, 64n, { bits: 256, field: 'name' })
  words.writeUint(2, BigInt(text.length), { bits: 256, field: 'name' })
  words.bytes.set(text, 96)
  return words.hash()
}
