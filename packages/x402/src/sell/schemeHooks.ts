import type { HTTPTransportContext, SettleContext } from '@x402/core/server'
import type { PaymentPayload, SchemeServerHooks, SettleResponse } from '@x402/core/types'
import type { Logger } from '@opg/node'
import { SaleRefusedError } from './errors.js'
import { feeOf } from './fee.js'
import { hashRequest, type ReadBody } from '../rawRequest.js'
import type { Sales } from './sales.js'

type BeforeSettle = NonNullable<SchemeServerHooks['onBeforeSettle']>

/**
 * The seller's three steps as a hook of x402: it settles itself, since only before a settlement can a hook say no to it.
 * What comes after a successful one (enrichment, `onAfterSettle`) can merely be logged, and a lock that the chain does
 * not have must keep the handler from running.
 */
export function settleStep(
  sales: Sales,
  { readBody, logger }: { readonly readBody: ReadBody; readonly logger: Logger },
): BeforeSettle {
  const settle = async (context: SettleContext): Promise<SettleResponse> => {
    // The same objects from the first step to the last, which x402 only shows as read-only.
    const payment = context.paymentPayload as PaymentPayload
    if (context.phase === 'before-handler') {
      return await sales.lock(payment, context.requirements)
    }
    if (context.phase === 'cancel') return await sales.release(payment)
    return await capture(payment, context)
  }

  const capture = async (payment: PaymentPayload, context: SettleContext): Promise<SettleResponse> => {
    const { request, responseBody, responseHeaders } = (context.transportContext ?? {}) as Partial<HTTPTransportContext>
    const cap = sales.saleOf(payment)?.order.amount ?? 0n
    const fee = feeOf({ amount: context.requirements.amount, cap, responseHeaders })
    if (fee.status === 'unusable') {
      await sales.release(payment)
      throw new SaleRefusedError('fee_unusable', fee.message)
    }
    return await sales.capture(payment, {
      fee: fee.fee,
      requestHash: await hashRequest(request, readBody),
      responseBody: responseBody ?? new Uint8Array(),
    })
  }

  return async (context) => {
    try {
      return { skip: true, result: await settle(context) }
    } catch (error) {
      // A hook that throws is passed over, so nothing may leave here as an error.
      if (error instanceof SaleRefusedError) return { abort: true, reason: error.reason, message: error.message }
      const reason = error instanceof Error ? error.message : 'unknown'
      logger.error({ phase: context.phase, reason }, 'a step of a sale failed')
      return { abort: true, reason: 'seller_failed', message: 'The seller could not settle. Nothing was answered.' }
    }
  }
}
