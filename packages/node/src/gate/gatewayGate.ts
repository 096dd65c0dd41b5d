import type { Clock } from '@opg/operator'
import { type Hex, type InferenceRequest, gatewayReference } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import type { GatewayKey, GatewayVerdict } from '../receipts/gatewayKey.js'
import type { PaidCall, Refusal } from '../service/types.js'
import type { StoredOrder } from '../store/types.js'
import { refuse } from './refusal.js'

/** Work that a gateway does, and must prove. */
export interface GatewayWork {
  readonly run: PaidCall['run']
  /** Whether the answer's bytes can be settled with. */
  readonly judge: (body: Uint8Array) => GatewayVerdict
}

/**
 * Lets a request under `GatewayReceiptVerifier` in only where the gateway's receipt for it can settle this order and no
 * other: it is the one that the order pins, as the gateway will hash it, and carries the order's own reference (F4).
 *
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function admitToGateway(input: {
  readonly call: PaidCall
  readonly request: InferenceRequest
  readonly order: StoredOrder
  readonly key: GatewayKey
  readonly chain: EscrowReader
  readonly clock: Clock
}): Promise<GatewayWork | Refusal> {
  const { call, request, order: stored, key, chain, clock } = input
  const { orderId, order } = stored
  const { gateway } = call
  if (gateway?.teeIds.includes(key.teeId) !== true) {
    return refuse('wrong-model', `Order ${orderId} asks gateway ${key.teeId}, which does not serve this model here.`)
  }
  const { inputHash, reference } = gateway.read()
  if (inputHash !== order.job.requestHash) {
    return refuse(
      'request-not-pinned',
      `Order ${orderId} pays for the request that a gateway hashes to ${order.job.requestHash}, and this is ${inputHash}.`,
    )
  }
  const expected = referenceOf(stored, chain)
  if (reference !== expected) {
    return refuse(
      'reference-wrong',
      `The request must begin with the reference of its order, ${expected}, and ${reference ?? 'none'} came: its receipt could settle another.`,
    )
  }
  if (request.maxFee !== order.amount) {
    return refuse(
      'max-fee-too-low',
      `The price of order ${orderId} is fixed: maxFee must be its amount, ${order.amount.toString()} base units.`,
    )
  }
  const [isEnabled, openedAt] = await Promise.all([key.isEnabled(), chain.openedAt(orderId)])
  if (!isEnabled) {
    return refuse(
      'wrong-evidence-key',
      `The TEE registry does not enable gateway ${key.teeId} now. Open an order for another one.`,
    )
  }
  return {
    run: gateway.run,
    judge: (body) => key.judge(body, { inputHash, openedAt, now: Math.floor(clock() / 1000) }),
  }
}

function referenceOf({ order: { payer, nonce } }: StoredOrder, { deploymentChainId, escrow }: EscrowReader): Hex {
  return gatewayReference({ chainId: deploymentChainId, escrow, payer, nonce })
}
