import { toWire, type Address, type Hex, type PriceSheet } from '@opg/protocol'
import type { ComputeBackend } from '../compute/backend.js'

/** What a payer must know to make an order that this node takes. */
export interface NodeInfo {
  readonly version: string
  /** The chain's live id, which signatures use. */
  readonly chainId: bigint
  /** The chain's id when the escrow was deployed, which order ids use. */
  readonly deploymentChainId: bigint
  readonly escrow: Address
  readonly token: Address
  readonly node: Address
  /** An order names one of these, and one of its keys. */
  readonly verifiers: readonly VerifierInfo[]
  readonly orders: {
    /** Base units: smaller orders are refused. */
    readonly minAmount: bigint
    /** An order whose `claimBy` is nearer is refused. */
    readonly minSecondsToClaimBy: number
    /** Of each fee, at least so much must remain for the node, in basis points. */
    readonly minNetNodeBps: number
  }
}

export interface VerifierInfo {
  /** What stands there: `KeyReceiptVerifier`, `TeeReceiptVerifier` and so on. */
  readonly kind: 'key' | 'tee' | 'voucher' | 'quorum' | 'gateway'
  readonly address: Address
  /** bytes32 each. */
  readonly evidenceKeys: readonly Hex[]
  /** What signs the receipts of orders that name this verifier. */
  readonly receiptKey:
    | { readonly kind: 'ecdsa'; readonly address: Address }
    /** `publicKey`: SPKI DER in base64; its keccak256 is `teeId`. */
    | { readonly kind: 'rsa-pss'; readonly teeId: Hex; readonly publicKey: string }
  /** Of a quorum, whose word settles: `k` of these. Their hash is the evidence key. */
  readonly quorum?: { readonly k: number; readonly validators: readonly Address[] }
}

/** The answer of `GET /v1/info`. */
export function infoBody(info: NodeInfo, backends: readonly ComputeBackend[]): unknown {
  return toWire({
    ...info,
    models: backends.map(({ path, model }) => ({
      name: model.name,
      path,
      modelId: model.modelId,
      prices: model.prices,
    })),
  })
}

/** What a client gets with status 402: enough to make an order and the request under it. */
export function paymentBody(
  info: NodeInfo,
  offer: { readonly modelId: Hex; readonly prices: PriceSheet; readonly maxFee: bigint },
): unknown {
  const { chainId, deploymentChainId, escrow, token, node, verifiers, orders } = info
  return toWire({
    chainId,
    deploymentChainId,
    escrow,
    token,
    node,
    modelId: offer.modelId,
    verifiers,
    orders,
    prices: offer.prices,
    // A request's own maxFee must be at least this.
    maxFee: offer.maxFee,
  })
}
