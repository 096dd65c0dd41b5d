import { AbiCoder, TypedDataEncoder, id, keccak256, type TypedDataDomain, type TypedDataField } from 'ethers'
import { PERMIT2_ADDRESS } from './permit2'

/** What the contracts sign and hash, written a second time by hand from the specification (E12). */

export interface Terms {
  readonly node: string
  readonly facilitator: string
  readonly facilitatorBps: bigint
  readonly verifier: string
  readonly evidenceKey: string
  readonly modelId: string
}

export interface Job {
  readonly requester: string
  readonly requestHash: string
}

export interface Order {
  readonly payer: string
  readonly nonce: bigint
  readonly amount: bigint
  readonly job: Job
  readonly claimBy: bigint
}

export interface SignedOrder {
  readonly order: Order
  readonly deadline: bigint
  readonly signature: string
}

export interface SettleRow {
  readonly order: Order
  readonly cumulativeFee: bigint
  readonly receiptsRoot: string
  readonly receiptCount: bigint
  readonly close: boolean
}

export interface Settlement extends Omit<SettleRow, 'order'> {
  readonly orderId: string
}

/** Where an escrow lives: what its domain and its order ids commit to. */
export interface Home {
  readonly chainId: bigint
  readonly escrow: string
  readonly token: string
}

type Types = Record<string, TypedDataField[]>

function fields(list: string): TypedDataField[] {
  return list.split(',').map((member) => {
    const [type = '', name = ''] = member.trim().split(' ')
    return { type, name }
  })
}

export const WORK_ORDER_TYPES: Types = {
  WorkOrder: fields('Terms terms,Job job,uint40 claimBy'),
  Job: fields('address requester,bytes32 requestHash'),
  Terms: fields(
    'address node,address facilitator,uint16 facilitatorBps,address verifier,bytes32 evidenceKey,bytes32 modelId',
  ),
}

export const PERMIT_TYPES: Types = {
  ...WORK_ORDER_TYPES,
  PermitWitnessTransferFrom: fields(
    'TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,WorkOrder witness',
  ),
  TokenPermissions: fields('address token,uint256 amount'),
}

export const BATCH_TYPES: Types = {
  SettlementBatch: fields('address node,bytes32 evidenceKey,Settlement[] settlements'),
  Settlement: fields('bytes32 orderId,uint96 cumulativeFee,bytes32 receiptsRoot,uint64 receiptCount,bool close'),
}

export function permit2Domain(chainId: bigint): TypedDataDomain {
  return { name: 'Permit2', chainId, verifyingContract: PERMIT2_ADDRESS }
}

export function escrowDomain(home: Pick<Home, 'chainId' | 'escrow'>): TypedDataDomain {
  return { name: 'InferenceEscrow', version: '1', chainId: home.chainId, verifyingContract: home.escrow }
}

/** Order id; `home.chainId` is the chain's id when the escrow was deployed (F18). */
export function orderIdOf(home: Home, terms: Terms, order: Order): string {
  const coder = AbiCoder.defaultAbiCoder()
  const seed = keccak256(
    coder.encode(['bytes32', 'uint256', 'address'], [id('InferenceEscrow.order'), home.chainId, home.escrow]),
  )
  const workOrder = TypedDataEncoder.hashStruct('WorkOrder', WORK_ORDER_TYPES, {
    terms,
    job: order.job,
    claimBy: order.claimBy,
  })
  return keccak256(
    coder.encode(
      ['bytes32', 'address', 'uint256', 'uint96', 'bytes32'],
      [seed, order.payer, order.nonce, order.amount, workOrder],
    ),
  )
}

/** The payer's Permit2 message. */
export function permitMessage(home: Home, terms: Terms, order: Order, deadline: bigint): Record<string, unknown> {
  return {
    permitted: { token: home.token, amount: order.amount },
    spender: home.escrow,
    nonce: order.nonce,
    deadline,
    witness: { terms, job: order.job, claimBy: order.claimBy },
  }
}

/** The evidence key's message. */
export function batchMessage(home: Home, terms: Terms, rows: readonly SettleRow[]): Record<string, unknown> {
  const settlements = rows.map(({ order, ...rest }): Settlement => ({
    orderId: orderIdOf(home, terms, order),
    ...rest,
  }))
  return { node: terms.node, evidenceKey: terms.evidenceKey, settlements }
}

/** What the payer's wallet is asked to sign, as one digest. */
export function permitDigest(home: Home, terms: Terms, order: Order, deadline: bigint): string {
  return TypedDataEncoder.hash(permit2Domain(home.chainId), PERMIT_TYPES, permitMessage(home, terms, order, deadline))
}

/** What the evidence key is asked to sign, as one digest. */
export function batchDigest(home: Home, terms: Terms, rows: readonly SettleRow[]): string {
  return TypedDataEncoder.hash(escrowDomain(home), BATCH_TYPES, batchMessage(home, terms, rows))
}
