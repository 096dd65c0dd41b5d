import type { Logger } from '@opg/node'
import { OPG_DECIMALS, toWire, type Address } from '@opg/protocol'
import type { PaymentPayload, SchemeNetworkServer } from '@x402/core/types'
import { SellerSettingError } from './errors.js'
import type { Offered } from './offered.js'
import { readPrice } from '../price.js'
import type { ReadBody } from '../rawRequest.js'
import type { Sales } from './sales.js'
import { settleStep } from './schemeHooks.js'

/** The scheme `upto` as x402's resource server takes it, with the flow `escrow` alone. */
export function uptoServer(
  offered: Offered,
  parts: { readonly sales: Sales; readonly readBody: ReadBody; readonly logger: Logger },
): SchemeNetworkServer & { readonly scheme: 'upto' } {
  const { escrow, token, extra } = offered
  return {
    scheme: 'upto',
    defaultAssetTransferMethod: 'permit2',
    paymentFlows: { permit2: { supported: ['escrow'], default: 'escrow' } },
    schemeHooks: { onBeforeSettle: settleStep(parts.sales, parts) },
    parsePrice: (price) => Promise.resolve().then(() => readPrice(price, token)),
    // Of dollar overrides, which `feeOf` refuses: without decimals the stock server would fail before it asked us.
    getAssetDecimals: () => OPG_DECIMALS,
    enhancePaymentRequirements: (requirements) => {
      checkPayTo(requirements.payTo, escrow)
      const wire = { ...toWire(extra) }
      return Promise.resolve({ ...requirements, payTo: escrow, extra: { ...requirements.extra, ...wire } })
    },
    settleOnCancel: ({ paymentPayload, requirements }) =>
      // The same object that was locked, which x402 only shows as read-only.
      parts.sales.saleOf(paymentPayload as PaymentPayload) === undefined
        ? undefined
        : { ...requirements, amount: '0', extra: { ...requirements.extra } },
  }
}

function checkPayTo(payTo: string, escrow: Address): void {
  if (payTo.trim() === '' || payTo.toLowerCase() === escrow.toLowerCase()) return
  throw new SellerSettingError('payTo', {
    expected: `empty, or the escrow, ${escrow}, which pays the node`,
    found: payTo,
  })
}
