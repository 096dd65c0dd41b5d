import { constants, verify } from 'node:crypto'
import {
  type GatewayAnswer,
  type GatewayReceipt,
  type GatewayRequest,
  type Hex,
  InvalidInputError,
  gatewayDigest,
  gatewayInputHash,
  gatewayLeaf,
  gatewayOutputHash,
  gatewayReference,
  withGatewayReference,
} from '@opg/protocol'
import { type PreparedOrder, type WorkOrderInput, createWorkOrder } from './createWorkOrder.js'
import { publicKeyOf } from './evidence.js'
import type { TeeKey } from './fetchTeeKey.js'
import { checkSeconds } from './input.js'

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const SALT_LENGTH = 32

/** An order for one request, and the request that must be sent for it, to the last character. */
export interface GatewayOrder<T extends GatewayRequest> {
  readonly work: PreparedOrder
  readonly request: T
}

/**
 * Puts an order together for one chat request at a fixed price, which an OpenGradient gateway answers and
 * `GatewayReceiptVerifier` judges. The gateway's receipt names no order, so the request gets a reference to this one into
 * its messages, and the order pins the request's hash. `evidenceKey` is the gateway's teeId.
 *
 * @throws {InvalidInputError} naming the member that is wrong
 */
export function createGatewayOrder<T extends GatewayRequest>(
  input: Omit<WorkOrderInput, 'requestHash'> & { readonly request: T },
): GatewayOrder<T> {
  const { request: plain, ...order } = input
  const { deploymentChainId: chainId, escrow } = input.escrow
  const reference = gatewayReference({ chainId, escrow, payer: input.payer, nonce: input.nonce })
  const request = withGatewayReference(plain, reference)
  return { work: createWorkOrder({ ...order, requestHash: gatewayInputHash(request) }), request }
}

/**
 * Whether the gateway signed this answer to this request: with its key from the registry (`fetchTeeKey`), never one that
 * came with the answer.
 *
 * @returns the receipt and its leaf, which the settlement on chain has for a root; undefined where it is not signed
 * @throws {InvalidInputError} {@link TeeKeyError}
 */
export function checkGatewayAnswer(
  answer: GatewayAnswer,
  { request, key }: { readonly request: GatewayRequest; readonly key: TeeKey },
): { readonly receipt: GatewayReceipt; readonly leaf: Hex } | undefined {
  if (!BASE64.test(answer.signature)) {
    throw new InvalidInputError({ field: 'signature', expected: 'base64', value: answer.signature })
  }
  const receipt = {
    inputHash: gatewayInputHash(request),
    outputHash: gatewayOutputHash(answer.text),
    timestamp: checkSeconds(answer.timestamp, 'timestamp'),
  }
  const isSigned = verify(
    'sha256',
    Buffer.from(gatewayDigest(receipt).slice(2), 'hex'),
    { key: publicKeyOf(key), padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: SALT_LENGTH },
    Buffer.from(answer.signature, 'base64'),
  )
  return isSigned ? { receipt, leaf: gatewayLeaf(receipt) } : undefined
}
