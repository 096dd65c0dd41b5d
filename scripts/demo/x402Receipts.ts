import { parseSettledExtra, responseHash } from '@opg/protocol'
import { decodePaymentResponseHeader } from '@x402/fetch'
import { DemoError } from './report.js'

/** The receipt in a paid answer's PAYMENT-RESPONSE must be of this body. */
export function readReceipt(response: Response, { body }: { readonly body: string }): void {
  const header = response.headers.get('payment-response')
  if (header === null) throw new DemoError('A paid answer came without PAYMENT-RESPONSE')
  const { receipt } = parseSettledExtra(decodePaymentResponseHeader(header).extra?.opg)
  if (receipt === undefined) throw new DemoError('A paid answer came without a receipt')
  const expected = responseHash(Buffer.from(body))
  if (receipt.receipt.responseHash !== expected) throw new DemoError('A receipt is of another answer')
}
