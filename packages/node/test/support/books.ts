import {
  type Hex,
  type Order,
  type SignedReceipt,
  type Terms,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  orderId,
  orderSeed,
  receiptLeaf,
  termsHash,
} from '@opg/protocol'
import { id as keccakText } from 'ethers'
import type {
  Commitment,
  NodeStore,
  OrderSnapshot,
  ReceiptPosition,
  Reservation,
  StoredOrder,
} from '../../src/store/types.js'

/** Made-up values for tests of the books alone: no chain, no keys. */
export const NODE = '0x1111111111111111111111111111111111111111'
export const ESCROW = '0x2222222222222222222222222222222222222222'
export const IDENTITY = { node: NODE, escrow: ESCROW, chainId: 31_337n } as const

export const TERMS: Terms = {
  node: NODE,
  facilitator: ZERO_ADDRESS,
  facilitatorBps: 0,
  verifier: '0x3333333333333333333333333333333333333333',
  evidenceKey: ZERO_BYTES32,
  modelId: hash('model'),
}

export function hash(text: string): Hex {
  return keccakText(text) as Hex
}

let nonce = 0n

/** An order with its id; each has its own nonce. */
export function anOrder(overrides: Partial<Order> = {}): {
  readonly orderId: Hex
  readonly terms: Terms
  readonly order: Order
} {
  nonce += 1n
  const order: Order = {
    payer: '0x4444444444444444444444444444444444444444',
    nonce,
    amount: 1_000n,
    job: { requester: '0x5555555555555555555555555555555555555555', requestHash: ZERO_BYTES32 },
    claimBy: 2_000_000_000,
    ...overrides,
  }
  return { orderId: orderId({ seed: orderSeed(IDENTITY), terms: TERMS, order }), terms: TERMS, order }
}

export function openSnapshot(amount: bigint, overrides: Partial<OrderSnapshot> = {}): OrderSnapshot {
  return { state: 'open', amount, released: 0n, networkBps: 500, royaltyBps: 0, blockNumber: 1, ...overrides }
}

/** Puts an open order into the books. */
export async function openOrder(store: NodeStore, overrides: Partial<Order> = {}): Promise<StoredOrder> {
  const { orderId: id, terms, order } = anOrder(overrides)
  const snapshot = openSnapshot(order.amount)
  return store.putOrder({ orderId: id, termsHash: termsHash(terms), terms, order, snapshot })
}

export function wish(order: StoredOrder, index: bigint, maxFee: bigint): Parameters<NodeStore['reserve']>[0] {
  return { orderId: order.orderId, index, requestId: hash(`${order.orderId} ${index.toString()}`), maxFee }
}

/** Reserves, and fails the test if that is refused. */
export async function reserved(
  store: NodeStore,
  order: StoredOrder,
  index: bigint,
  maxFee: bigint,
): Promise<Reservation> {
  const outcome = await store.reserve(wish(order, index, maxFee))
  if (outcome.status !== 'reserved') throw new TypeError(`expected a reservation, got ${outcome.status}`)
  return outcome.reservation
}

/** A commitment whose signature is a placeholder of the right length: the books do not check it. */
export function commitmentOf(
  order: StoredOrder,
  reservation: Reservation,
  { fee, body = 'answer' }: { readonly fee: bigint; readonly body?: string },
): Commitment {
  const sign = ({ seq, cumulativeFee }: ReceiptPosition): { signedReceipt: SignedReceipt; leaf: Hex } => {
    const receipt = {
      orderId: order.orderId,
      node: NODE,
      seq,
      requestId: reservation.requestId,
      responseHash: hash(body),
      fee,
      cumulativeFee,
      timestamp: 1_700_000_000,
    } as const
    const signature: Hex = `0x${'11'.repeat(65)}`
    return { signedReceipt: { receipt, signature, signer: { kind: 'ecdsa' } }, leaf: receiptLeaf(receipt) }
  }
  return { fee, body: new TextEncoder().encode(body), contentType: 'text/plain', sign }
}
