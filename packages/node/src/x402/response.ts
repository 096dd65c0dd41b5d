import type { SettleResponse } from '@x402/core/types'
import { toWire, type Address, type Hex, type SettledExtra } from '@opg/protocol'
import type { PaidAnswer } from '../service/types.js'

/** A payment that was taken. */
export interface Taken {
  readonly orderId: Hex
  readonly payer: Address
  /** Hash of the transaction that locked it, or empty. */
  readonly transaction: string
  readonly network: `${string}:${string}`
  /** Whether the answer closes its order. */
  readonly isClosed: boolean
}

/** What PAYMENT-RESPONSE says. Of a stream that begins, no more than that the money is locked. */
export function respond(taken: Taken, answer?: PaidAnswer): SettleResponse {
  const { orderId, payer, transaction, network, isClosed } = taken
  const base = { transaction, network, payer }
  const after: SettledExtra['state'] = isClosed ? 'queued' : 'locked'
  if (answer === undefined) return { ...base, success: true, extra: extraOf({ orderId, state: 'locked' }) }
  if ('signedReceipt' in answer) {
    const receipt = answer.signedReceipt
    const amount = receipt.receipt.fee.toString()
    return { ...base, success: true, amount, extra: extraOf({ orderId, state: after, receipt }) }
  }
  const isFailed = answer.status === 'failed'
  const errorReason = isFailed ? 'work_failed' : answer.reason.replaceAll('-', '_')
  const extra = extraOf({ orderId, state: isFailed ? after : 'locked' })
  return { ...base, success: false, amount: '0', errorReason, errorMessage: answer.detail, extra }
}

function extraOf(opg: SettledExtra): Record<string, unknown> {
  return { opg: toWire(opg) }
}
