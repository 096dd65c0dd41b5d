import type { Clock } from '@opg/operator'
import {
  type Hex,
  type InferenceRequest,
  REQUEST_HEADER,
  type SignedRequest,
  decodeRequestHeader,
  parseSignedRequest,
  requestHash,
  requestId,
  typedDigest,
} from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import { type AcceptedVerifier, verifierFor } from '../receipts/acceptedVerifier.js'
import type { PaidCall, Refusal } from '../service/types.js'
import { evidenceKeyOf, pinnedHash } from '../store/reservedSlice.js'
import type { StoredOrder } from '../store/types.js'
import { createAccountSignature } from './accountSignature.js'
import { type GatePolicy, refusalByTime } from './policy.js'
import { refuse } from './refusal.js'

/** A request whose shape is right; nothing is known of who signed it. */
export interface ReadRequest {
  readonly request: InferenceRequest
  readonly requestId: Hex
  readonly signature: Hex
}

/** Reads what came in the header. @throws {InvalidInputError} */
export function readRequest(signedRequest: unknown): ReadRequest {
  return identified(
    typeof signedRequest === 'string' || signedRequest === undefined
      ? decodeRequestHeader(signedRequest)
      : parseSignedRequest(signedRequest, REQUEST_HEADER),
  )
}

/** A request that was read, with its id. */
export function identified({ request, signature }: SignedRequest): ReadRequest {
  return { request, signature, requestId: requestId(request) }
}

/** A request that needs no signature of its own. */
export function requestOf(request: InferenceRequest): ReadRequest {
  return { request, signature: '0x', requestId: requestId(request) }
}

/** Whether the request is meant for this node, this order and exactly these bytes. */
export function refusalByMeaning(
  policy: GatePolicy,
  input: { readonly call: PaidCall; readonly request: InferenceRequest; readonly order: StoredOrder },
): Refusal | undefined {
  const { call, request, order } = input
  if (request.node !== policy.node) {
    return refuse('wrong-node', `The request is signed for node ${request.node}, and this is ${policy.node}.`)
  }
  if (order.terms.modelId !== call.modelId) {
    return refuse(
      'wrong-model',
      `Order ${order.orderId} pays for model ${order.terms.modelId}, and not ${call.modelId}.`,
    )
  }
  const hash = requestHash(call.path, call.body)
  if (request.requestHash !== hash) {
    return refuse('request-hash-mismatch', `The request is signed for ${request.requestHash}, and ${hash} arrived.`)
  }
  const pinned = pinnedHash(order.order)
  // Where a gateway answers, an order pins what the gateway hashes.
  if (pinned !== undefined && pinned !== hash && pinned !== call.gateway?.read().inputHash) {
    return refuse('request-not-pinned', `Order ${order.orderId} pays for request ${pinned} only, and this is ${hash}.`)
  }
  return undefined
}

/** Whether the order's requester signed it: ECDSA, or ERC-1271 where the requester is a contract. */
export function createSignatureCheck({
  chain,
  clock,
}: {
  readonly chain: EscrowReader
  readonly clock: Clock
}): (input: { readonly read: ReadRequest; readonly order: StoredOrder }) => Promise<Refusal | undefined> {
  const isSignedBy = createAccountSignature({ chain, clock })

  return async ({ read, order }) => {
    const { requester } = order.order.job
    // A request's id is its struct hash.
    const digest = typedDigest(chain.separator, read.requestId)
    if (await isSignedBy(requester, { digest, signature: read.signature })) return undefined
    return refuse(
      'signature-invalid',
      `The request must be signed by requester ${requester} for chain ${chain.chainId.toString()} and escrow ${chain.escrow}.`,
    )
  }
}

/** How the order's receipts are signed and proved; refused where the key is lost. */
export function liveVerifierOf(policy: GatePolicy, order: StoredOrder): AcceptedVerifier | Refusal {
  const found = verifierFor(policy.verifiers, { verifier: order.terms.verifier, evidenceKey: evidenceKeyOf(order) })
  return (
    found ??
    refuse(
      'wrong-evidence-key',
      `This node holds no key any more for the evidence that order ${order.orderId} asks for. Open a new order.`,
    )
  )
}

/** Whether it may start now. A stored answer is given without asking this. */
export function refusalToStart(
  policy: GatePolicy,
  input: {
    readonly call: PaidCall
    readonly request: InferenceRequest
    readonly order: StoredOrder
    readonly clock: Clock
  },
): Refusal | undefined {
  const { call, request, order } = input
  const nowSeconds = Math.floor(input.clock() / 1000)
  if (request.expiresAt <= nowSeconds) {
    return refuse('request-expired', `The request was good until ${String(request.expiresAt)}. Sign it again.`)
  }
  if (request.maxFee < call.maxFeeNeeded) {
    return refuse(
      'max-fee-too-low',
      `This request may cost ${call.maxFeeNeeded.toString()} base units, and its maxFee is ${request.maxFee.toString()}. Raise maxFee or ask for fewer tokens.`,
    )
  }
  return refusalByTime(policy, { claimBy: order.order.claimBy, nowSeconds })
}
