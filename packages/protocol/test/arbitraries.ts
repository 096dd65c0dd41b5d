import fc from 'fast-check'
import { checksumAddress } from '../src/address.js'
import type {
  Address,
  Allocation,
  CloseRequest,
  Hex,
  InferenceReceipt,
  InferenceRequest,
  Job,
  Order,
  Settlement,
  SettlementBatch,
  SignedOrder,
  SignedReceipt,
  SignedRequest,
  SignedVoucher,
  Slice,
  Terms,
  Voucher,
} from '../src/types.js'
import type { Offer, UptoAuthorization } from '../src/x402/types.js'

/** Bytes of a length, as lower-case hex. */
export const hexOf = (min: number, max = min): fc.Arbitrary<Hex> =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((bytes): Hex => `0x${Buffer.from(bytes).toString('hex')}`)

export const bytes32 = hexOf(32)
export const address: fc.Arbitrary<Address> = hexOf(20).map((hex) => checksumAddress(hex.slice(2)))
export const uint = (bits: number): fc.Arbitrary<bigint> => fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })
export const smallUint = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 })

export const terms: fc.Arbitrary<Terms> = fc.record({
  node: address,
  facilitator: address,
  facilitatorBps: smallUint(16),
  verifier: address,
  evidenceKey: bytes32,
  modelId: bytes32,
})
export const job: fc.Arbitrary<Job> = fc.record({ requester: address, requestHash: bytes32 })
export const order: fc.Arbitrary<Order> = fc.record({
  payer: address,
  nonce: uint(256),
  amount: uint(96),
  job,
  claimBy: smallUint(40),
})
export const signedOrder: fc.Arbitrary<SignedOrder> = fc.record({
  order,
  deadline: uint(256),
  signature: hexOf(64, 200),
})
export const request: fc.Arbitrary<InferenceRequest> = fc.record({
  orderId: bytes32,
  node: address,
  index: uint(64),
  requestHash: bytes32,
  maxFee: uint(96),
  expiresAt: smallUint(40),
})
export const signedRequest: fc.Arbitrary<SignedRequest> = fc.record({ request, signature: hexOf(64, 200) })
export const receipt: fc.Arbitrary<InferenceReceipt> = fc.record({
  orderId: bytes32,
  node: address,
  seq: uint(64),
  requestId: bytes32,
  responseHash: bytes32,
  fee: uint(96),
  cumulativeFee: uint(96),
  timestamp: smallUint(40),
})
export const signedReceipt: fc.Arbitrary<SignedReceipt> = fc.oneof(
  fc.record({ receipt, signature: hexOf(65), signer: fc.constant({ kind: 'ecdsa' as const }) }),
  fc.record({
    receipt,
    signature: fc.oneof(hexOf(256), hexOf(384), hexOf(512)),
    signer: fc.record({ kind: fc.constant('rsa-pss' as const), teeId: bytes32 }),
  }),
)
export const settlement: fc.Arbitrary<Settlement> = fc.record({
  orderId: bytes32,
  cumulativeFee: uint(96),
  receiptsRoot: bytes32,
  receiptCount: uint(64),
  close: fc.boolean(),
})
export const settlementBatch: fc.Arbitrary<SettlementBatch> = fc.record({
  node: address,
  evidenceKey: bytes32,
  settlements: fc.array(settlement, { maxLength: 5 }),
})
export const voucher: fc.Arbitrary<Voucher> = fc.record({
  orderId: bytes32,
  node: address,
  maxCumulativeFee: uint(96),
})
export const signedVoucher: fc.Arbitrary<SignedVoucher> = fc.record({ voucher, signature: hexOf(65) })
export const allocation: fc.Arbitrary<Allocation> = fc.record({
  root: bytes32,
  count: smallUint(8),
  cap: uint(96),
  series: uint(64),
})
export const slice: fc.Arbitrary<Slice> = fc.record({ index: smallUint(8), node: address, evidenceKey: bytes32 })
export const closeRequest: fc.Arbitrary<CloseRequest> = fc.record({ orderId: bytes32, expiresAt: smallUint(40) })
export const offer: fc.Arbitrary<Offer> = fc.record({ terms, claimWindow: smallUint(32) })
export const uptoAuthorization: fc.Arbitrary<UptoAuthorization> = fc.record({
  from: address,
  token: address,
  amount: uint(96),
  spender: address,
  nonce: uint(256),
  deadline: uint(256),
  to: address,
  facilitator: address,
  validAfter: uint(256),
})
