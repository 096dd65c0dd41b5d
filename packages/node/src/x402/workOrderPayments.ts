import {
  InvalidInputError,
  orderId,
  parseWorkOrderPayment,
  termsHash,
  toWire,
  type Hex,
  type WorkOrderPayment,
} from '@opg/protocol'
import { isDeepStrictEqual } from 'node:util'
import type { PaidService } from '../service/types.js'
import type { NodeStore, StoredOrder } from '../store/types.js'
import type { Locking } from './locking.js'
import { PAYMENT_HEADER, type ReadPayment } from './paymentHeader.js'
import { mismatch, refusalOfCore, refusePayment } from './refusal.js'
import { networkOf, workOrderRequirements, type Selling } from './requirements.js'
import { respond } from './response.js'
import type { Acceptance, PaymentRefusal, Sale } from './types.js'

export interface WorkOrderDependencies {
  readonly selling: Selling
  readonly seed: Hex
  /** Undefined where no facilitator is configured: payers open their orders themselves. */
  readonly locking: Locking | undefined
  readonly service: Pick<PaidService, 'admitOrder'>
  readonly store: Pick<NodeStore, 'recentOrder'>
}

/** One request under an order. Once the order is admitted, nobody is asked anything. */
export async function acceptWorkOrder(
  dependencies: WorkOrderDependencies,
  input: { readonly payment: ReadPayment; readonly sale: Sale; readonly signal: AbortSignal },
): Promise<Acceptance> {
  const { selling, seed } = dependencies
  const field = `${PAYMENT_HEADER}.payload`
  const parsed = parseWorkOrderPayment(input.payment.payload, field)
  const { terms, order, request, signature, voucher } = parsed
  const known = await dependencies.store.recentOrder(request.orderId)
  // What the books hold under this id was hashed when it was admitted.
  const isHashed = known?.slice === undefined && isDeepStrictEqual([known?.terms, known?.order], [terms, order])
  const id = isHashed ? request.orderId : orderId({ seed, terms, order })
  if (request.orderId !== id) {
    throw new InvalidInputError({
      field: `${field}.request.orderId`,
      expected: `the order's id, ${id}`,
      value: request.orderId,
    })
  }
  const opened = await open(dependencies, { ...input, parsed, id, known })
  if ('code' in opened) return opened
  const { transaction } = opened
  const taken = { orderId: id, payer: order.payer, transaction, network: networkOf(selling.chainId), isClosed: false }
  return {
    status: 'accepted',
    orderId: id,
    call: {
      signedRequest: undefined,
      known: { signedRequest: { request, signature }, order: known?.chain === 'missing' ? undefined : known },
      signedVoucher: voucher === undefined ? undefined : toWire(voucher),
    },
    finish: () => Promise.resolve(),
    response: (answer) => respond(taken, answer),
  }
}

/** Until the order is in the books: as it stands on chain, or locked through the facilitator. */
async function open(
  { selling, locking, service }: WorkOrderDependencies,
  input: {
    readonly payment: ReadPayment
    readonly sale: Sale
    readonly signal: AbortSignal
    readonly parsed: WorkOrderPayment
    readonly id: Hex
    readonly known: StoredOrder | undefined
  },
): Promise<{ readonly transaction: string } | PaymentRefusal> {
  const { payment, sale, signal, id, known } = input
  const { terms, order, permit } = input.parsed
  if (known !== undefined && (known.chain !== 'missing' || permit === undefined)) return { transaction: '' }

  const admission = await service.admitOrder(toWire({ terms, order }))
  if (admission.status === 'admitted') return { transaction: '' }
  if (admission.reason !== 'order-not-open' || permit === undefined) return refusalOfCore(admission)
  if (locking === undefined) {
    const message = `Order ${id} is not open on chain, and this node has no facilitator that could open it. Open it yourself, then send the same header again.`
    return refusePayment('FACILITATOR_MISSING', message, { reason: 'order_not_open' })
  }
  const requirements = workOrderRequirements(selling, sale)
  // The facilitator opens what is on offer; who wants other terms opens the order itself.
  if (termsHash(terms) !== termsHash({ ...selling.terms, modelId: sale.modelId })) {
    return mismatch("The order's terms are not those on offer.", 'offer_mismatch')
  }
  const { payload, extensions } = payment
  const lockable = { payload, ...(extensions === undefined ? {} : { extensions }), accepted: requirements }
  // Any requests of one session may wait for one lock: its permit decides, and not theirs.
  return locking.lock({ orderId: id, terms, order, payment: lockable, signed: toWire(permit) }, signal)
}
