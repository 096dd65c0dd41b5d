import {
  OPG_DECIMALS,
  SELLER_MEMBER,
  type Terms,
  type WorkOrderExtra,
  parseAddress,
  parseBytes32,
  toWire,
} from '@opg/protocol'
import type { SchemeNetworkServer } from '@x402/core/types'
import { readPrice } from '../price.js'
import { type ReadBody, pathOf, rawBody } from '../rawRequest.js'
import { RawBodyMissingError } from './errors.js'
import { answerIn, requestIn } from './httpContext.js'
import type { LocalFacilitator } from './localFacilitator.js'
import { rememberRequest } from './paidRequests.js'
import { replayOf } from './replay.js'
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
  readonly readBody?: ReadBody
}

const PERMIT2 = 'permit2'

/**
 * The scheme `work-order` for an x402ResourceServer. Prices are OPG like `0.05`, or `{ asset, amount }` in base units; a
 * handler may charge less by x402's settlement overrides.
 *
 * @throws {InvalidInputError} if `token` is no address
 */
export function workOrderServer(options: WorkOrderServerOptions): SchemeNetworkServer {
  const { facilitator, terms, vouchers = false, readBody = rawBody } = options
  const token = parseAddress(options.token, 'token')
  const { desk } = facilitator
  return {
    scheme: 'work-order',
    defaultAssetTransferMethod: PERMIT2,
    paymentFlows: { [PERMIT2]: { supported: ['authorization'], default: 'authorization' } },
    parsePrice: (price) => Promise.resolve().then(() => readPrice(price, token)),
    getAssetDecimals: () => OPG_DECIMALS,
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
          const body = await readBody(request)
          if (body === undefined) throw new RawBodyMissingError()
          rememberRequest(paymentPayload, { path: pathOf(request), body })
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
