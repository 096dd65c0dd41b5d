import { SELLER_MEMBER, type Terms, type WorkOrderExtra, parseBytes32, parseOpg, toWire } from '@opg/protocol'
import type { HTTPRequestContext } from '@x402/core/server'
import type { SchemeNetworkServer } from '@x402/core/types'
import { RawBodyMissingError } from './errors.js'
import { answerIn, bodyOfAdapter, requestIn } from './httpContext.js'
import type { LocalFacilitator } from './localFacilitator.js'
import { replayOf } from './replay.js'
import { rememberRequest } from './requestBytes.js'
import { writeAnswer } from './sellerAnswer.js'

export interface WorkOrderServerOptions {
  readonly facilitator: LocalFacilitator
  /** The token's address. */
  readonly token: string
  /** What every order must say; `modelId` may be given for each route, as `extra: { modelId }`. */
  readonly terms: Terms
  /** Base units; see {@link WorkOrderExtra}. */
  readonly minAmount: bigint
  readonly minSecondsToClaimBy: number
  /** Whether the verifier asks for vouchers. */
  readonly vouchers?: boolean
  /** The raw bytes of a request's body, where the framework's adapter has no bytes. */
  readonly bodyOf?: (request: HTTPRequestContext) => Uint8Array | Promise<Uint8Array>
}

const PERMIT2 = 'permit2'

/**
 * The scheme `work-order` for an x402ResourceServer. Prices are OPG like `0.05`, or `{ asset, amount }` in base units; a
 * handler may charge less by x402's settlement overrides.
 */
export function workOrderServer(options: WorkOrderServerOptions): SchemeNetworkServer {
  const { facilitator, token, terms, vouchers = false, bodyOf = bodyOfAdapter } = options
  const { desk } = facilitator
  return {
    scheme: 'work-order',
    defaultAssetTransferMethod: PERMIT2,
    paymentFlows: { [PERMIT2]: { supported: ['authorization'], default: 'authorization' } },
    parsePrice: (price) => {
      if (typeof price === 'object') return Promise.resolve({ ...price })
      return Promise.resolve({ asset: token, amount: parseOpg(String(price), 'price').toString() })
    },
    getAssetDecimals: () => 18,
    enhancePaymentRequirements: (requirements) => {
      const { modelId = terms.modelId, ...rest } = requirements.extra
      const extra: WorkOrderExtra = {
        terms: { ...terms, modelId: parseBytes32(modelId, 'extra.modelId') },
        deploymentChainId: facilitator.deploymentChainId,
        minAmount: options.minAmount,
        minSecondsToClaimBy: options.minSecondsToClaimBy,
        vouchers,
      }
      return Promise.resolve({ ...requirements, extra: { ...rest, ...toWire(extra) } })
    },
    schemeHooks: {
      onBeforeVerify: async ({ paymentPayload, transportContext }) => {
        const request = requestIn(transportContext)
        try {
          const body = await bodyOf(request)
          rememberRequest(paymentPayload, { path: new URL(request.adapter.getUrl()).pathname, body })
        } catch (error) {
          // Or the server would go on without: hooks that throw are passed over.
          if (!(error instanceof RawBodyMissingError)) throw error
          return { abort: true, reason: 'request_unknown', message: error.message }
        }
        return undefined
      },
      onAfterVerify: ({ result }) => Promise.resolve(replayOf(result.extra?.[SELLER_MEMBER])),
      onVerifiedPaymentCanceled: ({ paymentPayload }) => desk.cancel(paymentPayload.payload),
    },
    enrichSettlementPayload: ({ transportContext }) => {
      return Promise.resolve({ [SELLER_MEMBER]: writeAnswer(answerIn(transportContext)) })
    },
  }
}
