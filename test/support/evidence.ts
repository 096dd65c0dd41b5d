import { ethers } from 'hardhat'
import {
  AbiCoder,
  TypedDataEncoder,
  concat,
  keccak256,
  solidityPacked,
  toBeHex,
  type BytesLike,
  type Signer,
  type TypedDataField,
} from 'ethers'
import { batchDigest, escrowDomain, orderIdOf, type Home, type SettleRow, type Terms } from './typedData'
import type { World } from './fixture'

/** The evidence that verifiers take, written a second time by hand from their interfaces. */

/** One row as a verifier sees it. */
export interface Row {
  readonly orderId: string
  readonly requester: string
  readonly requestHash: string
  readonly amount: bigint
  readonly released: bigint
  readonly openedAt: bigint
  readonly cumulativeFee: bigint
  readonly receiptsRoot: string
  readonly receiptCount: bigint
  readonly close: boolean
}

const VERIFY = ethers.id(
  'verify(address,bytes32,bytes32,(bytes32,address,bytes32,uint96,uint96,uint32,uint96,bytes32,uint64,bool)[],bytes)',
)
/** What a verifier answers that accepts. */
export const ACCEPTED = VERIFY.slice(0, 10)

/** The rows of a settlement as the escrow shows them now. */
export async function shownRows(
  world: Pick<World, 'escrow' | 'home'>,
  terms: Terms,
  rows: readonly SettleRow[],
): Promise<Row[]> {
  return Promise.all(
    rows.map(async ({ order, ...given }) => {
      const orderId = orderIdOf(world.home, terms, order)
      const { amount, released, openedAt } = await world.escrow.orders(orderId)
      return { orderId, ...order.job, amount, released, openedAt, ...given }
    }),
  )
}

/** Asks the verifier of `terms` as the escrow would, so that its own error is seen. */
export async function judge(
  world: Pick<World, 'escrow' | 'home'>,
  terms: Terms,
  question: {
    readonly rows: readonly SettleRow[]
    readonly evidence: BytesLike
    /** What the verifier is shown instead. */
    readonly shown?: readonly Row[]
    readonly from?: string
  },
): Promise<string> {
  const verifier = (await ethers.getContractAt('IReceiptVerifier', terms.verifier)).connect(ethers.provider)
  const shown = question.shown ?? (await shownRows(world, terms, question.rows))
  const digest = batchDigest(world.home, terms, question.rows)
  const from = question.from ?? world.home.escrow
  const asked = [terms.node, terms.evidenceKey, digest, shown, question.evidence] as const
  return String(await verifier.getFunction('verify').staticCall(...asked, { from }))
}

type Types = Record<string, TypedDataField[]>

export const VOUCHER_TYPES: Types = {
  Voucher: [
    { type: 'bytes32', name: 'orderId' },
    { type: 'address', name: 'node' },
    { type: 'uint96', name: 'maxCumulativeFee' },
  ],
}

export interface Voucher {
  readonly orderId: string
  readonly node: string
  readonly maxCumulativeFee: bigint
}

/** One voucher as it stands in evidence. */
export async function signVoucher(
  home: Pick<Home, 'chainId' | 'escrow'>,
  signer: Signer,
  voucher: Voucher,
): Promise<string> {
  const signature = await signer.signTypedData(escrowDomain(home), VOUCHER_TYPES, { ...voucher })
  return concat([toBeHex(voucher.maxCumulativeFee, 12), signature])
}

/** `evidenceKey` of a quorum. */
export function quorumKey(k: number, validators: readonly string[]): string {
  return keccak256(AbiCoder.defaultAbiCoder().encode(['uint256', 'address[]'], [k, validators]))
}

export interface QuorumEvidence {
  readonly k: number
  readonly validators: readonly string[]
  /** Bit i: validator i signed. */
  readonly signers: bigint
  readonly signatures: readonly string[]
}

export function quorumEvidence({ k, validators, signers, signatures }: QuorumEvidence): string {
  return concat([
    toBeHex(k, 1),
    toBeHex(validators.length, 1),
    ...validators.map((validator) => solidityPacked(['address'], [validator])),
    toBeHex(signers, 32),
    ...signatures,
  ])
}

export const RECEIPT_TYPES: Types = {
  InferenceReceipt: [
    { type: 'bytes32', name: 'orderId' },
    { type: 'address', name: 'node' },
    { type: 'uint64', name: 'seq' },
    { type: 'bytes32', name: 'requestId' },
    { type: 'bytes32', name: 'responseHash' },
    { type: 'uint96', name: 'fee' },
    { type: 'uint96', name: 'cumulativeFee' },
    { type: 'uint40', name: 'timestamp' },
  ],
}

export interface Receipt {
  readonly orderId: string
  readonly node: string
  readonly seq: bigint
  readonly requestId: string
  readonly responseHash: string
  readonly fee: bigint
  readonly cumulativeFee: bigint
  readonly timestamp: bigint
}

export function receiptDigest(home: Pick<Home, 'chainId' | 'escrow'>, receipt: Receipt): string {
  return TypedDataEncoder.hash(escrowDomain(home), RECEIPT_TYPES, { ...receipt })
}

/** Root of the tree whose one leaf is the hash. */
export function leafOf(hash: string): string {
  return keccak256(concat(['0x00', hash]))
}

export function receiptLeaf(receipt: Receipt): string {
  return leafOf(TypedDataEncoder.hashStruct('InferenceReceipt', RECEIPT_TYPES, { ...receipt }))
}

/** One receipt as it stands in evidence of form 1. */
export function packReceipt(receipt: Receipt, signature: BytesLike): string {
  return concat([
    toBeHex(receipt.seq, 8),
    receipt.requestId,
    receipt.responseHash,
    toBeHex(receipt.fee, 12),
    toBeHex(receipt.timestamp, 5),
    signature,
  ])
}

export interface GatewayReceipt {
  readonly inputHash: string
  readonly outputHash: string
  readonly timestamp: bigint
}

/** What a gateway signs. */
export function gatewayDigest({ inputHash, outputHash, timestamp }: GatewayReceipt): string {
  return keccak256(concat([inputHash, outputHash, toBeHex(timestamp, 32)]))
}

/** One gateway receipt as it stands in evidence. */
export function packGatewayReceipt({ outputHash, timestamp }: GatewayReceipt, signature: BytesLike): string {
  return concat([outputHash, toBeHex(timestamp, 5), signature])
}
