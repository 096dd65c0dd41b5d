import { ChainUnavailableError, StoreError, type Clock, type Logger } from '@opg/operator'
import {
  InvalidInputError,
  parseSellerStep,
  recoverSigner,
  structDigest,
  toWire,
  type CaptureStep,
  type LockStep,
  type SellerStep,
  type SettledExtra,
} from '@opg/protocol'
import type { BookedOrder, Engine } from './engine/types.js'
import { refusalByLimit } from './limits.js'
import type { ChainReader } from './verify/chainReader.js'
import { networkOf, type Deployed } from './verify/deployed.js'
import { readPayment, type Payment } from './verify/payment.js'
import type { OfferPolicy } from './verify/policy.js'
import { invalid, type Invalid, type ReachedLimit, type Reason } from './verify/reasons.js'
import { sameJson } from './verify/sameJson.js'
import { createVerifier, type ReadOrder } from './verify/verifier.js'

export interface FacilitatorOptions {
  readonly deployed: Deployed
  readonly policy: OfferPolicy
  readonly reader: ChainReader
  readonly engine: Engine
  /** How long a lock waits for the chain, in milliseconds. */
  readonly lockTimeoutMs: number
  readonly clock: Clock
  readonly logger: Logger
}

/** x402 v2 `VerifyResponse`. */
export interface VerifyAnswer {
  isValid: boolean
  invalidReason?: Reason
  invalidMessage?: string
  payer?: string
}

/** x402 v2 `SettleResponse`. */
export interface SettleAnswer {
  success: boolean
  errorReason?: Reason
  errorMessage?: string
  payer?: string
  /** Empty where there is none, or none yet. */
  transaction: string
  network: `${string}:${string}`
  amount?: string
  /** `limit` with `over_limit`. */
  extra?: { opg: SettledExtra } | { limit: ReachedLimit }
}

/** What x402 asks of a facilitator. Payloads and requirements are parsed JSON, and hostile. */
export interface FacilitatorService {
  readonly deployed: Deployed
  readonly policy: OfferPolicy
  /** @throws {InvalidInputError} if it is no payment at all @throws {ChainUnavailableError} nothing was decided (N6) */
  verify(paymentPayload: unknown, paymentRequirements: unknown): Promise<VerifyAnswer>
  /** Does the seller's step: locks, or takes a capture. @throws {InvalidInputError} if it is no payment at all */
  settle(paymentPayload: unknown, paymentRequirements: unknown): Promise<SettleAnswer>
}

/** Puts judging and doing together. */
export function createFacilitatorService(options: FacilitatorOptions): FacilitatorService {
  const { deployed, policy, reader, engine, lockTimeoutMs, clock, logger } = options
  const verifier = createVerifier(options)
  const network = networkOf(deployed) as SettleAnswer['network']

  async function lock(payment: Payment, step: LockStep): Promise<SettleAnswer | Invalid> {
    const read = verifier.read(payment)
    if (read.status === 'invalid') return read
    const { orderId, terms, order } = read.opening
    const digest = structDigest(deployed.separator, {
      name: 'LockAttempt',
      value: { orderId, attempt: step.attempt },
    })
    if (recoverSigner(digest, step.signature) !== terms.node) {
      return invalid(
        'seller_step_invalid',
        `The attempt must be signed by the order's node, ${terms.node}.`,
        order.payer,
      )
    }
    const known = await engine.order(orderId)
    if (known !== undefined && known.attempt !== step.attempt) return used(read)
    const judged = isUnderWay(known, read) ? read : await verifier.judge(read, payment)
    if (judged.status === 'invalid') return judged

    const outcome = await engine.lock({ opening: judged.opening, attempt: step.attempt, timeoutMs: lockTimeoutMs })
    switch (outcome.status) {
      case 'locked':
        return settled(read, { transaction: outcome.transaction ?? '', amount: order.amount, state: 'locked' })
      case 'used':
        return used(read)
      case 'refused':
        return invalid('lock_refused', `The chain refused the opening: ${outcome.reason}.`, order.payer)
      case 'pending':
        return invalid(
          'lock_pending',
          `Order ${orderId} is not open yet, and may open still. Serve nothing, and capture a fee of 0 to give it back.`,
          order.payer,
        )
      case 'limited':
        return refusalByLimit(outcome.limit, { opening: judged.opening, nowMs: clock() })
    }
  }

  async function capture(payment: Payment, { settlement, evidence }: CaptureStep): Promise<SettleAnswer | Invalid> {
    const read = verifier.read(payment, { toCapture: true })
    if (read.status === 'invalid') return read
    const { orderId, order } = read.opening
    const { payer } = order
    const { cumulativeFee } = settlement
    if (settlement.orderId !== orderId || !settlement.close || cumulativeFee > order.amount) {
      return invalid(
        'seller_step_invalid',
        `The settlement must be of order ${orderId}, close it, and take at most ${order.amount.toString()} base units.`,
        payer,
      )
    }
    const known = await engine.order(orderId)
    if (known === undefined) return unknownOrder(read)
    if (!isCaptured(known)) {
      if (order.claimBy <= Math.floor(clock() / 1000)) {
        return invalid(
          'order_expired',
          `Order ${orderId} ended at ${String(order.claimBy)}: it goes back whole.`,
          payer,
        )
      }
      const proof = await reader.simulateCapture(read.opening, { orderId, settlement, evidence })
      if (proof.status === 'refused') {
        return invalid('evidence_invalid', `The escrow would not take the evidence: ${proof.reason}.`, payer)
      }
    }

    const outcome = await engine.capture({ orderId, settlement, evidence })
    switch (outcome.status) {
      case 'queued':
        return settled(read, { transaction: '', amount: cumulativeFee, state: 'queued' })
      case 'done':
        return settled(read, {
          transaction: outcome.transaction ?? '',
          amount: cumulativeFee,
          state: cumulativeFee === 0n ? 'released' : 'captured',
        })
      case 'conflict':
        return invalid(
          'capture_conflict',
          `Another capture of order ${orderId} was taken before: that one counts.`,
          payer,
        )
      case 'failed':
        return invalid(
          'capture_failed',
          `Captures of order ${orderId} failed on chain too often, and none is sent any more. Settle it yourself until ${String(order.claimBy)}.`,
          payer,
        )
      case 'unknown':
        return unknownOrder(read)
    }
  }

  function settled(
    { opening }: ReadOrder,
    result: { readonly transaction: string; readonly amount: bigint; readonly state: SettledExtra['state'] },
  ): SettleAnswer {
    const { transaction, amount, state } = result
    const opg: SettledExtra = { orderId: opening.orderId, state }
    return {
      success: true,
      transaction,
      network,
      payer: opening.order.payer,
      amount: amount.toString(),
      extra: { opg },
    }
  }

  function failed({ reason, message, payer, limit }: Omit<Invalid, 'status'>): SettleAnswer {
    return {
      success: false,
      errorReason: reason,
      errorMessage: message,
      ...(payer === undefined ? {} : { payer }),
      transaction: '',
      network,
      ...(limit === undefined ? {} : { extra: { limit } }),
    }
  }

  return {
    deployed,
    policy,
    verify: async (paymentPayload, paymentRequirements) => {
      const payment = readPayment(paymentPayload, paymentRequirements)
      const read = verifier.read(payment)
      const judged = read.status === 'invalid' ? read : await verifier.judge(read, payment)
      if (judged.status === 'valid') return { isValid: true, payer: judged.opening.order.payer }
      const { reason, message, payer } = judged
      return {
        isValid: false,
        invalidReason: reason,
        invalidMessage: message,
        ...(payer === undefined ? {} : { payer }),
      }
    },
    settle: async (paymentPayload, paymentRequirements) => {
      const payment = readPayment(paymentPayload, paymentRequirements)
      const step = readStep(payment)
      if (step.phase === undefined) return failed(step)
      try {
        const answer = step.phase === 'lock' ? await lock(payment, step) : await capture(payment, step)
        return 'status' in answer ? failed(answer) : answer
      } catch (error) {
        if (!(error instanceof ChainUnavailableError) && !(error instanceof StoreError)) throw error
        logger.warn({ phase: step.phase, code: error.code, operation: error.operation }, 'a step could not be decided')
        return failed({
          reason: 'unavailable',
          message:
            'Chain or database did not answer, so nothing was decided. Try again: the same step may be sent twice.',
        })
      }
    },
  }
}

type UnreadStep = Omit<Invalid, 'status'> & { readonly phase: undefined }

function readStep({ step }: Payment): SellerStep | UnreadStep {
  if (step === undefined) {
    const message = 'Only sellers settle: paymentPayload.payload.opg must hold a step, lock or capture.'
    return { phase: undefined, reason: 'seller_step_missing', message }
  }
  try {
    return parseSellerStep(step, 'paymentPayload.payload.opg')
  } catch (error) {
    if (!(error instanceof InvalidInputError)) throw error
    return { phase: undefined, reason: 'seller_step_invalid', message: error.message }
  }
}

/** Whether a capture of it is on its way or done: then that one counts, and this one's evidence does not matter. */
function isCaptured({ state, captureFailure }: BookedOrder): boolean {
  return state === 'closed' || (state === 'capturing' && captureFailure === undefined)
}

/**
 * Whether this very payment was judged already: it is in the books for this attempt, and the money may have moved since.
 * Another authorization of the same order is another payment.
 */
function isUnderWay(known: BookedOrder | undefined, { opening }: ReadOrder): boolean {
  return known !== undefined && known.state !== 'refused' && sameJson(toWire(known.funding), toWire(opening.funding))
}

function used({ opening }: ReadOrder): Invalid {
  return invalid(
    'payment_already_used',
    `Order ${opening.orderId} is locked for another attempt. Serve nothing; the payer must sign a new payment.`,
    opening.order.payer,
  )
}

function unknownOrder({ opening }: ReadOrder): Invalid {
  return invalid(
    'order_unknown',
    `Order ${opening.orderId} was never locked here, so there is nothing to capture.`,
    opening.order.payer,
  )
}
