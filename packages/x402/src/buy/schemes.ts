import { toWire } from '@opg/protocol'
import type { PaymentRequirements, SchemeNetworkClient } from '@x402/core/types'
import { RequestUnknownError } from './errors.js'
import { checkUptoOffer, checkWorkOrderOffer } from './offers.js'
import { type RequestContext, currentRequest } from './requestContext.js'
import { payUpto } from './upto.js'
import type { SpendingWallet } from './wallet.js'
import type { WorkOrders } from './workOrders.js'

/** What the schemes pay with; opened when the first payment needs it. */
export interface Purse {
  readonly wallet: SpendingWallet
  readonly orders: WorkOrders
  /** The longest that a seller may have to settle, in seconds. */
  readonly maxLockSeconds: number
}

type OpenPurse = () => Promise<Purse>

/** `work-order` for a stock x402Client. The request that is paid for must be known: see `withRequest`. */
export function workOrderScheme(openPurse: OpenPurse): SchemeNetworkClient {
  return scheme('work-order', async (requirements, context) => {
    const { wallet, orders, maxLockSeconds } = await openPurse()
    const offer = await checkWorkOrderOffer(requirements, { market: wallet.market, maxLockSeconds })
    const { payload, payment } = await orders.pay(offer, context)
    context.payment = payment
    return { ...toWire(payload) }
  })
}

/** `upto` under the spender's limits, for offers whose desk is the one that it should be. */
export function uptoScheme(openPurse: OpenPurse): SchemeNetworkClient {
  return scheme('upto', async (requirements, context) => {
    const { wallet, maxLockSeconds } = await openPurse()
    const offer = await checkUptoOffer(requirements, { market: wallet.market, maxLockSeconds })
    const { payload, payment } = await payUpto(wallet, { offer, requirements, context })
    context.payment = payment
    return payload
  })
}

function scheme(
  name: string,
  pay: (requirements: PaymentRequirements, context: RequestContext) => Promise<Record<string, unknown>>,
): SchemeNetworkClient {
  return {
    scheme: name,
    createPaymentPayload: async (x402Version, requirements) => {
      const context = currentRequest()
      if (context === undefined) throw new RequestUnknownError()
      return { x402Version, payload: await pay(requirements, context) }
    },
  }
}
