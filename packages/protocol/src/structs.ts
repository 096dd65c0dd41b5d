import type {
  Allocation,
  CloseRequest,
  Hex,
  InferenceReceipt,
  InferenceRequest,
  Job,
  Settlement,
  SettlementBatch,
  Terms,
  Voucher,
  WorkOrder,
} from './types.js'
import type { LockAttempt, Offer } from './x402/types.js'

/** One member of an EIP-712 struct. */
export interface TypedField {
  readonly name: string
  readonly type: string
}

/**
 * Every EIP-712 struct of the protocol, defined once: typed data for wallets and the fast hashes both come from here.
 * Names and order of the fields are part of each type hash.
 */
export const TYPES = {
  Terms: [
    { name: 'node', type: 'address' },
    { name: 'facilitator', type: 'address' },
    { name: 'facilitatorBps', type: 'uint16' },
    { name: 'verifier', type: 'address' },
    { name: 'evidenceKey', type: 'bytes32' },
    { name: 'modelId', type: 'bytes32' },
  ],
  Job: [
    { name: 'requester', type: 'address' },
    { name: 'requestHash', type: 'bytes32' },
  ],
  WorkOrder: [
    { name: 'terms', type: 'Terms' },
    { name: 'job', type: 'Job' },
    { name: 'claimBy', type: 'uint40' },
  ],
  InferenceRequest: [
    { name: 'orderId', type: 'bytes32' },
    { name: 'node', type: 'address' },
    { name: 'index', type: 'uint64' },
    { name: 'requestHash', type: 'bytes32' },
    { name: 'maxFee', type: 'uint96' },
    { name: 'expiresAt', type: 'uint40' },
  ],
  InferenceReceipt: [
    { name: 'orderId', type: 'bytes32' },
    { name: 'node', type: 'address' },
    { name: 'seq', type: 'uint64' },
    { name: 'requestId', type: 'bytes32' },
    { name: 'responseHash', type: 'bytes32' },
    { name: 'fee', type: 'uint96' },
    { name: 'cumulativeFee', type: 'uint96' },
    { name: 'timestamp', type: 'uint40' },
  ],
  Settlement: [
    { name: 'orderId', type: 'bytes32' },
    { name: 'cumulativeFee', type: 'uint96' },
    { name: 'receiptsRoot', type: 'bytes32' },
    { name: 'receiptCount', type: 'uint64' },
    { name: 'close', type: 'bool' },
  ],
  SettlementBatch: [
    { name: 'node', type: 'address' },
    { name: 'evidenceKey', type: 'bytes32' },
    { name: 'settlements', type: 'Settlement[]' },
  ],
  Voucher: [
    { name: 'orderId', type: 'bytes32' },
    { name: 'node', type: 'address' },
    { name: 'maxCumulativeFee', type: 'uint96' },
  ],
  CloseRequest: [
    { name: 'orderId', type: 'bytes32' },
    { name: 'expiresAt', type: 'uint40' },
  ],
  Allocation: [
    { name: 'orderId', type: 'bytes32' },
    { name: 'root', type: 'bytes32' },
    { name: 'count', type: 'uint8' },
    { name: 'cap', type: 'uint96' },
    { name: 'series', type: 'uint64' },
  ],
  Offer: [
    { name: 'terms', type: 'Terms' },
    { name: 'claimWindow', type: 'uint32' },
  ],
  LockAttempt: [
    { name: 'orderId', type: 'bytes32' },
    { name: 'attempt', type: 'bytes32' },
  ],
} as const satisfies Readonly<Record<string, readonly TypedField[]>>

/** The value that each struct's hash is taken of. */
export interface StructValues {
  readonly Terms: Terms
  readonly Job: Job
  readonly WorkOrder: WorkOrder
  readonly InferenceRequest: InferenceRequest
  readonly InferenceReceipt: InferenceReceipt
  readonly Settlement: Settlement
  readonly SettlementBatch: SettlementBatch
  readonly Voucher: Voucher
  readonly CloseRequest: CloseRequest
  readonly Allocation: Allocation & { readonly orderId: Hex }
  readonly Offer: Offer
  readonly LockAttempt: LockAttempt
}

/** Name of a struct in `TYPES`. */
export type StructName = keyof typeof TYPES

/** Whether `name` is a struct of `TYPES`, and not a basic type. */
export function isStructName(name: string): name is StructName {
  return Object.hasOwn(TYPES, name)
}

/** `name` and every struct that it refers to, alphabetically after it, as EIP-712 orders them. */
export function structsOf(name: StructName): readonly StructName[] {
  const found = new Set<StructName>()
  const visit = (struct: StructName): void => {
    found.add(struct)
    for (const { type } of TYPES[struct]) {
      const base = type.replace('[]', '')
      if (isStructName(base) && !found.has(base)) visit(base)
    }
  }
  visit(name)
  found.delete(name)
  return [name, ...[...found].sort()]
}

/** EIP-712 `encodeType`: the string that the type hash is taken of. */
export function encodeType(name: StructName): string {
  return structsOf(name)
    .map((struct) => `${struct}(${TYPES[struct].map((field) => `${field.type} ${field.name}`).join(',')})`)
    .join('')
}
