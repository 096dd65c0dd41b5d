import { type EscrowInfo, openOrder } from '@opg/payer'
import {
  type Address,
  type Hex,
  type Order,
  SELLER_MEMBER,
  type Terms,
  type WorkOrderPermitSignature,
  structDigest,
  toWire,
} from '@opg/protocol'
import type { FacilitatorClient } from '@x402/core/server'
import type { PaymentPayload, PaymentRequirements } from '@x402/core/types'
import { type Signer, type SigningKey, solidityPackedKeccak256 } from 'ethers'

/** An order that its payer signed and nobody has opened yet. */
export interface OpeningWish {
  readonly orderId: Hex
  readonly terms: Terms
  readonly order: Order
  readonly permit: WorkOrderPermitSignature
  /** As the client sent it, and what it was offered: facilitators take these. */
  readonly payload: PaymentPayload
  readonly requirements: PaymentRequirements
}

export type OpeningOutcome =
  | { readonly status: 'opened' }
  /** In x402's words. `lock_pending` and `unavailable` may pass. */
  | { readonly status: 'refused'; readonly reason: string; readonly detail: string }

/** Gets orders opened. What it says is not believed: the chain is asked afterwards (N1). */
export type OrderOpener = (wish: OpeningWish) => Promise<OpeningOutcome>

/** Opens orders by transactions of an account that sends nothing else meanwhile: not the one that settles. */
export function ownOpener(signer: Signer, escrow: EscrowInfo): OrderOpener {
  let last: Promise<unknown> = Promise.resolve()
  return async ({ terms, order, permit }) => {
    // One after another, or two would take one nonce.
    const sent = last.then(() => openOrder(signer, { escrow, terms, signed: { order, ...permit } }))
    last = sent.catch(() => undefined)
    const opening = await sent
    if (opening.status === 'opened' || opening.status === 'already-open') return { status: 'opened' }
    return { status: 'refused', reason: 'invalid_payment', detail: opening.detail }
  }
}

/**
 * Has orders opened by a facilitator, which pays the gas and gathers them with others.
 *
 * @param options `nodeKey`: the node's, which says that it asks for it; `separator`: the escrow's domain
 */
export function facilitatorOpener(
  facilitator: FacilitatorClient,
  options: {
    readonly nodeKey: SigningKey
    readonly separator: Hex
  },
): OrderOpener {
  const { nodeKey, separator } = options
  return async ({ orderId, terms, payload, requirements }) => {
    const attempt = sessionAttempt(terms.node, orderId)
    const digest = structDigest(separator, { name: 'LockAttempt', value: { orderId, attempt } })
    const step = toWire({ phase: 'lock', attempt, signature: asHex(nodeKey.sign(digest).serialized) })
    const payment = { ...payload, payload: { ...payload.payload, [SELLER_MEMBER]: step } }
    try {
      const settled = await facilitator.settle(payment, requirements)
      if (settled.success) return { status: 'opened' }
      const { errorReason = 'refused', errorMessage = 'The facilitator refused the order.' } = settled
      return { status: 'refused', reason: errorReason, detail: errorMessage }
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error)
      return { status: 'refused', reason: 'unavailable', detail: `The facilitator did not answer: ${detail}` }
    }
  }
}

/** All processes of a node make the same attempt: which request of the session was answered is for the books to say. */
function sessionAttempt(node: Address, orderId: Hex): Hex {
  return asHex(solidityPackedKeccak256(['address', 'bytes32'], [node, orderId]))
}

function asHex(text: string): Hex {
  return `0x${text.slice(2)}`
}
