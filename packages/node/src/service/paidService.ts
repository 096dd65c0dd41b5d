import type { Clock, Logger } from '@opg/operator'
import { computeFee, gatewayLeaf, responseHash } from '@opg/protocol'
import type { EscrowReader } from '../chain/escrowReader.js'
import { AnswerUnprovedError, ReservationLostError } from '../errors.js'
import { createCloseRequests } from '../gate/closeRequest.js'
import { answering, createOrderGate } from '../gate/orderGate.js'
import type { GatePolicy } from '../gate/policy.js'
import { signReceipt } from '../receipts/receipt.js'
import type { NodeStore } from '../store/types.js'
import { type AdmittedRequest, createAdmission } from './admission.js'
import { runCall } from './runCall.js'
import type { PaidAnswer, PaidCall, PaidService } from './types.js'

export interface PaidServiceOptions {
  readonly policy: GatePolicy
  readonly store: NodeStore
  readonly chain: EscrowReader
  readonly clock: Clock
  readonly logger: Logger
}

/** One paid request from its header to its durable receipt (section 6 of docs/SPEC.md). */
export function createPaidService(options: PaidServiceOptions): PaidService {
  const { policy, store, chain, clock, logger } = options
  const gate = createOrderGate(options)
  const admission = createAdmission({ ...options, gate })

  async function bill(call: PaidCall, admitted: AdmittedRequest): Promise<PaidAnswer> {
    const { reservation, request, order, signer, gateway } = admitted
    const ran = await runCall(gateway === undefined ? call : { ...call, run: gateway.run })
    if (ran.status === 'failed') {
      return failed(admitted, { detail: 'The work failed, and nothing is billed. Send the request again.', ...ran })
    }
    const { body, computed } = ran
    const verdict = gateway?.judge(body)
    if (verdict?.status === 'unproved') {
      // Whoever can make a gateway hash a request otherwise must not have it asked again and again at the node's cost.
      await store.startClosing(order.orderId, 'failed')
      const cause = new AnswerUnprovedError({ orderId: order.orderId, why: verdict.why })
      return failed(admitted, { detail: cause.message, cause })
    }
    // Of a gateway's order the price is fixed, and the request names it.
    const fee =
      verdict === undefined ? computeFee(call.prices, { ...computed.usage, maxFee: request.maxFee }) : request.maxFee
    const leaf = verdict === undefined ? {} : { leaf: gatewayLeaf(verdict.receipt) }
    const answer = await store.commit(reservation, {
      fee,
      body,
      contentType: computed.contentType,
      sign: ({ seq, cumulativeFee }) => ({
        ...signReceipt(signer, {
          separator: chain.separator,
          receipt: {
            orderId: order.orderId,
            node: policy.node,
            seq,
            requestId: reservation.requestId,
            responseHash: responseHash(body),
            fee,
            cumulativeFee,
            timestamp: Math.floor(clock() / 1000),
          },
        }),
        ...leaf,
      }),
    })
    return { status: 'served', body, contentType: answer.contentType, signedReceipt: answer.signedReceipt }
  }

  /** Gives the reservation back. */
  async function failed(
    { reservation, order }: AdmittedRequest,
    { detail, cause }: { readonly detail: string; readonly cause: unknown },
  ): Promise<PaidAnswer> {
    await store.abandon(reservation)
    logger.warn(
      { orderId: order.orderId, requestId: reservation.requestId, detail },
      'the work failed; nothing is billed',
    )
    return { status: 'failed', detail, cause }
  }

  async function serve(call: PaidCall): Promise<PaidAnswer> {
    const admitted = await answering('admitting a request', logger, () => admission.admit(call))
    if (admitted.status === 'refused') return admitted
    if (admitted.status === 'replayed') {
      const { body, contentType, signedReceipt } = admitted.answer
      return { status: 'replayed', body, contentType, signedReceipt }
    }
    try {
      return await bill(call, admitted)
    } catch (error) {
      if (error instanceof ReservationLostError) {
        return { status: 'failed', detail: error.message, cause: error }
      }
      // Not to hold the order's money for work that will never be billed. Should this fail too, the lease ends it.
      await store.abandon(admitted.reservation).catch(() => undefined)
      throw error
    }
  }

  return { admitOrder: (input) => gate.admit(input), serve, requestClose: createCloseRequests(options) }
}
