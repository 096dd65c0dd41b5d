import { Wallet } from 'ethers'
import {
  type Address,
  type Hex,
  type InferenceReceipt,
  type InferenceRequest,
  type Order,
  type SignedReceipt,
  type SignedRequest,
  type Terms,
  ZERO_ADDRESS,
  ZERO_BYTES32,
  domainSeparator,
  parseAddress,
  receiptDigest,
  requestId,
  typedData,
} from '@opg/protocol'
import { orderIdOf } from '../../src/createWorkOrder.js'
import type { EscrowInfo } from '../../src/escrowInfo.js'
import { keyEvidence } from '../../src/evidence.js'
import { memoryReceiptLog, type ReceiptLog } from '../../src/receiptLog.js'
import { type ReceiptBook, openReceiptBook } from '../../src/receiptBook.js'

export const NOW = 1_800_000_000
export const ESCROW: EscrowInfo = {
  chainId: 31_337n,
  deploymentChainId: 31_337n,
  escrow: parseAddress(`0x${'e5'.repeat(20)}`),
  token: parseAddress(`0x${'70'.repeat(20)}`),
}
export const nodeWallet = new Wallet(`0x${'11'.repeat(32)}`)
export const payerWallet = new Wallet(`0x${'22'.repeat(32)}`)
export const requesterWallet = new Wallet(`0x${'33'.repeat(32)}`)
export const strangerWallet = new Wallet(`0x${'44'.repeat(32)}`)

export const TERMS: Terms = {
  node: addressOf(nodeWallet),
  facilitator: ZERO_ADDRESS,
  facilitatorBps: 0,
  verifier: parseAddress(`0x${'ab'.repeat(20)}`),
  evidenceKey: ZERO_BYTES32,
  modelId: `0x${'4d'.repeat(32)}`,
}
export const ORDER: Order = {
  payer: addressOf(payerWallet),
  nonce: 7n,
  amount: 1_000_000n,
  job: { requester: addressOf(requesterWallet), requestHash: ZERO_BYTES32 },
  claimBy: NOW + 3_600,
}
export const ORDER_ID = orderIdOf(ESCROW, { terms: TERMS, order: ORDER })
export const AGAINST = { escrow: ESCROW, terms: TERMS, order: ORDER, evidence: keyEvidence(TERMS) }
export const SEPARATOR = domainSeparator(ESCROW)

export function addressOf(wallet: Wallet): Address {
  return parseAddress(wallet.address)
}

export function openBook(log: ReceiptLog = memoryReceiptLog()): Promise<ReceiptBook> {
  return openReceiptBook({ ...AGAINST, log })
}

export async function signRequest(
  members: Partial<InferenceRequest> & { readonly index: bigint },
): Promise<SignedRequest> {
  const request: InferenceRequest = {
    orderId: ORDER_ID,
    node: TERMS.node,
    requestHash: `0x${'0e'.repeat(32)}`,
    maxFee: 100n,
    expiresAt: NOW + 300,
    ...members,
  }
  const data = typedData(ESCROW, { name: 'InferenceRequest', value: request })
  const signature = await requesterWallet.signTypedData(data.domain, data.types, data.message)
  return { request, signature: `0x${signature.slice(2)}` }
}

export function signReceipt(
  members: Pick<InferenceReceipt, 'seq' | 'requestId' | 'fee' | 'cumulativeFee'> & Partial<InferenceReceipt>,
  wallet: Wallet = nodeWallet,
  separator: Hex = SEPARATOR,
): SignedReceipt {
  const receipt: InferenceReceipt = {
    orderId: ORDER_ID,
    node: TERMS.node,
    responseHash: `0x${'05'.repeat(32)}`,
    timestamp: NOW,
    ...members,
  }
  const { serialized } = wallet.signingKey.sign(receiptDigest(separator, receipt))
  return { receipt, signature: asHex(serialized), signer: { kind: 'ecdsa' } }
}

/** What an honest node gives for these fees, one request each, in the order of `seq`. */
export async function honestLedger(
  fees: readonly bigint[],
): Promise<{ readonly requests: readonly SignedRequest[]; readonly receipts: readonly SignedReceipt[] }> {
  const requests = await Promise.all(fees.map((_, i) => signRequest({ index: BigInt(i) })))
  let cumulativeFee = 0n
  const receipts = requests.map(({ request }, i) => {
    const fee = fees[i] ?? 0n
    cumulativeFee += fee
    return signReceipt({ seq: BigInt(i), requestId: requestId(request), fee, cumulativeFee })
  })
  return { requests, receipts }
}

export function asHex(text: string): Hex {
  return `0x${text.slice(2)}`
}
