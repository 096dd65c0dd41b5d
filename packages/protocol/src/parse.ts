import {
  parseAddress,
  parseBool,
  parseBytes,
  parseBytes32,
  parseObject,
  parseSmallUint,
  parseUint,
  type Reader,
} from './codec.js'
import { InvalidInputError } from './errors.js'
import type { PriceSheet } from './prices.js'
import type {
  Allocation,
  CloseRequest,
  InferenceReceipt,
  InferenceRequest,
  Job,
  Order,
  ReceiptSigner,
  Settlement,
  SignedOrder,
  SignedReceipt,
  SignedRequest,
  SignedVoucher,
  Slice,
  Terms,
  Voucher,
} from './types.js'

/** The longest signature that is taken: wallets' own forms (ERC-1271) are longer than a key's. */
export const MAX_SIGNATURE_BYTES = 2_048

const uint8 = parseSmallUint(8)
const uint16 = parseSmallUint(16)
const uint40 = parseSmallUint(40)
const uint64 = parseUint(64)
const uint96 = parseUint(96)
const uint256 = parseUint(256)
const signature = parseBytes({ min: 64, max: MAX_SIGNATURE_BYTES })

const terms = parseObject<Terms>({
  node: parseAddress,
  facilitator: parseAddress,
  facilitatorBps: uint16,
  verifier: parseAddress,
  evidenceKey: parseBytes32,
  modelId: parseBytes32,
})
const job = parseObject<Job>({ requester: parseAddress, requestHash: parseBytes32 })
const order = parseObject<Order>({ payer: parseAddress, nonce: uint256, amount: uint96, job, claimBy: uint40 })
const signedOrder = parseObject<SignedOrder>({ order, deadline: uint256, signature })
const request = parseObject<InferenceRequest>({
  orderId: parseBytes32,
  node: parseAddress,
  index: uint64,
  requestHash: parseBytes32,
  maxFee: uint96,
  expiresAt: uint40,
})
const signedRequest = parseObject<SignedRequest>({ request, signature })
const receipt = parseObject<InferenceReceipt>({
  orderId: parseBytes32,
  node: parseAddress,
  seq: uint64,
  requestId: parseBytes32,
  responseHash: parseBytes32,
  fee: uint96,
  cumulativeFee: uint96,
  timestamp: uint40,
})
const settlement = parseObject<Settlement>({
  orderId: parseBytes32,
  cumulativeFee: uint96,
  receiptsRoot: parseBytes32,
  receiptCount: uint64,
  close: parseBool,
})
const voucher = parseObject<Voucher>({ orderId: parseBytes32, node: parseAddress, maxCumulativeFee: uint96 })
const signedVoucher = parseObject<SignedVoucher>({ voucher, signature: parseBytes({ min: 65, max: 65 }) })
const allocation = parseObject<Allocation>({ root: parseBytes32, count: uint8, cap: uint96, series: uint64 })
const slice = parseObject<Slice>({ index: uint8, node: parseAddress, evidenceKey: parseBytes32 })
const closeRequest = parseObject<CloseRequest>({ orderId: parseBytes32, expiresAt: uint40 })
const priceSheet = parseObject<PriceSheet>({ perRequest: uint96, inputPerMillion: uint96, outputPerMillion: uint96 })

const ecdsaSigner = parseObject<Extract<ReceiptSigner, { readonly kind: 'ecdsa' }>>({ kind: only('ecdsa') })
const rsaSigner = parseObject<Extract<ReceiptSigner, { readonly kind: 'rsa-pss' }>>({
  kind: only('rsa-pss'),
  teeId: parseBytes32,
})
const receiptSigner: Reader<ReceiptSigner> = (value, field) => {
  const kind = kindOf(value)
  if (kind !== 'ecdsa' && kind !== 'rsa-pss') {
    throw new InvalidInputError({ field: `${field}.kind`, expected: '"ecdsa" or "rsa-pss"', value: kind })
  }
  return kind === 'ecdsa' ? ecdsaSigner(value, field) : rsaSigner(value, field)
}
const signedReceipt = parseObject<SignedReceipt>({ receipt, signature, signer: receiptSigner })
const ECDSA_LENGTHS: readonly number[] = [64, 65]
// Moduli of 2048, 3072 and 4096 bits.
const RSA_LENGTHS: readonly number[] = [256, 384, 512]

/** Reads `Terms` from parsed JSON. @throws {InvalidInputError} */
export function parseTerms(value: unknown, field = 'terms'): Terms {
  return terms(value, field)
}

/** Reads an `Order` from parsed JSON. @throws {InvalidInputError} */
export function parseOrder(value: unknown, field = 'order'): Order {
  return order(value, field)
}

/** Reads a `SignedOrder` from parsed JSON. Its members are named without a prefix: `order.amount`. @throws {InvalidInputError} */
export function parseSignedOrder(value: unknown, field = ''): SignedOrder {
  return signedOrder(value, field)
}

/** Reads an `InferenceRequest` from parsed JSON. @throws {InvalidInputError} */
export function parseInferenceRequest(value: unknown, field = 'request'): InferenceRequest {
  return request(value, field)
}

/** Reads a `SignedRequest` from parsed JSON. @throws {InvalidInputError} */
export function parseSignedRequest(value: unknown, field = ''): SignedRequest {
  return signedRequest(value, field)
}

/** Reads an `InferenceReceipt` from parsed JSON. @throws {InvalidInputError} */
export function parseInferenceReceipt(value: unknown, field = 'receipt'): InferenceReceipt {
  return receipt(value, field)
}

/** Reads a `SignedReceipt` from parsed JSON; the signature's length must fit its kind. @throws {InvalidInputError} */
export function parseSignedReceipt(value: unknown, field = ''): SignedReceipt {
  const signed = signedReceipt(value, field)
  const lengths = signed.signer.kind === 'ecdsa' ? ECDSA_LENGTHS : RSA_LENGTHS
  if (!lengths.includes(signed.signature.length / 2 - 1)) {
    throw new InvalidInputError({
      field: field === '' ? 'signature' : `${field}.signature`,
      expected: `${lengths.join(' or ')} bytes for ${signed.signer.kind}`,
      value: `${String(signed.signature.length / 2 - 1)} bytes`,
    })
  }
  return signed
}

/** Reads a `Settlement` from parsed JSON. @throws {InvalidInputError} */
export function parseSettlement(value: unknown, field = 'settlement'): Settlement {
  return settlement(value, field)
}

/** Reads a `CloseRequest` from parsed JSON. @throws {InvalidInputError} */
export function parseCloseRequest(value: unknown, field = 'closeRequest'): CloseRequest {
  return closeRequest(value, field)
}

/** Reads a `Voucher` from parsed JSON. @throws {InvalidInputError} */
export function parseVoucher(value: unknown, field = 'voucher'): Voucher {
  return voucher(value, field)
}

/** Reads a `SignedVoucher` from parsed JSON. @throws {InvalidInputError} */
export function parseSignedVoucher(value: unknown, field = ''): SignedVoucher {
  return signedVoucher(value, field)
}

/** Reads an `Allocation` from parsed JSON. @throws {InvalidInputError} */
export function parseAllocation(value: unknown, field = 'allocation'): Allocation {
  return allocation(value, field)
}

/** Reads a `Slice` from parsed JSON. @throws {InvalidInputError} */
export function parseSlice(value: unknown, field = 'slice'): Slice {
  return slice(value, field)
}

/** Reads a `PriceSheet` from parsed JSON. @throws {InvalidInputError} */
export function parsePriceSheet(value: unknown, field = 'prices'): PriceSheet {
  return priceSheet(value, field)
}

function only<Literal extends string>(literal: Literal): Reader<Literal> {
  return (value, field) => {
    if (value !== literal) throw new InvalidInputError({ field, expected: `"${literal}"`, value })
    return literal
  }
}

function kindOf(value: unknown): unknown {
  return typeof value === 'object' && value !== null && 'kind' in value ? value.kind : undefined
}
