import { SELLER_MEMBER, parseBaseUnits, toWire } from '@opg/protocol'
import type { FacilitatorClient } from '@x402/core/server'
import type {
  Network,
  PaymentPayload,
  PaymentRequirements,
  SchemeNetworkFacilitator,
  SettleResponse,
  VerifyResponse,
} from '@x402/core/types'
import { requestBytesOf } from './paidRequests.js'
import { readAnswer, writeAnswer } from './sellerAnswer.js'
import { SessionDesk, type SessionDeskOptions } from './sessionDesk.js'

export interface LocalFacilitatorOptions extends SessionDeskOptions {
  /** The node's address. */
  readonly signer: string
}

/**
 * Verifies and settles payments by `work-order` in the seller's own process: no RPC and no facilitator for an order that
 * is known. Takes the place of a facilitator's client in an x402ResourceServer; its scheme registers with an
 * x402Facilitator as well.
 */
export class LocalFacilitator implements FacilitatorClient, SchemeNetworkFacilitator {
  readonly scheme = 'work-order'
  readonly caipFamily = 'eip155:*'
  readonly desk: SessionDesk
  readonly network: Network
  /** The chain's id when the escrow was deployed, which order ids use. */
  readonly deploymentChainId: number
  readonly #signer: string

  constructor(options: LocalFacilitatorOptions) {
    this.desk = new SessionDesk(options)
    this.network = `eip155:${options.node.chain.chainId.toString()}`
    this.deploymentChainId = Number(options.node.chain.deploymentChainId)
    this.#signer = options.signer
  }

  getSupported(): ReturnType<FacilitatorClient['getSupported']> {
    return Promise.resolve({
      kinds: [{ x402Version: 2, scheme: this.scheme, network: this.network }],
      extensions: [],
      signers: { [this.caipFamily]: [this.#signer] },
    })
  }

  getExtra(): undefined {
    return undefined
  }

  getSigners(): string[] {
    return [this.#signer]
  }

  async verify(payload: PaymentPayload, requirements: PaymentRequirements): Promise<VerifyResponse> {
    const request = requestBytesOf(payload)
    if (request === undefined) {
      const invalidMessage = 'What is paid for is not known here. Register workOrderServer with the resource server.'
      return { isValid: false, invalidReason: 'request_unknown', invalidMessage }
    }
    const verified = await this.desk.verify(payload, { requirements, request })
    if (verified.status === 'invalid') {
      return { isValid: false, invalidReason: verified.reason, invalidMessage: verified.detail }
    }
    const { payer } = verified.payment.order
    if (verified.status === 'reserved') return { isValid: true, payer }
    return { isValid: true, payer, extra: { [SELLER_MEMBER]: writeAnswer(verified.answer) } }
  }

  async settle(payload: PaymentPayload, requirements: PaymentRequirements): Promise<SettleResponse> {
    const network = this.network
    const step = payload.payload[SELLER_MEMBER]
    if (step === undefined) return failure(network, { reason: 'seller_step_missing', detail: 'There is no answer.' })
    const fee = parseBaseUnits(requirements.amount, 'amount')
    const charged = await this.desk.charge(payload.payload, { ...readAnswer(step), fee })
    if (charged.status === 'refused') return failure(network, charged)
    const { receipt, payment } = charged
    const opg = toWire({ orderId: payment.request.orderId, state: 'queued' as const, receipt })
    return {
      success: true,
      payer: payment.order.payer,
      transaction: '',
      network,
      amount: receipt.receipt.fee.toString(),
      extra: { opg },
    }
  }
}

function failure(
  network: Network,
  { reason, detail }: { readonly reason: string; readonly detail: string },
): SettleResponse {
  return { success: false, errorReason: reason, errorMessage: detail, transaction: '', network }
}
