import type { Clock, Logger, Sleep } from '@opg/operator'
import { structDigest, toWire, type Address, type Hex, type LockStep, type Order, type Terms } from '@opg/protocol'
import { solidityPackedKeccak256 } from 'ethers'
import { createHash } from 'node:crypto'
import type { PaidService } from '../service/types.js'
import type { Facilitator, LockRequest } from './facilitator.js'
import { lockPending, refusalOfCore, refusePayment } from './refusal.js'
import type { PaymentRefusal } from './types.js'

/** An order whose money somebody else is to lock. */
export interface Lockable {
  readonly orderId: Hex
  readonly terms: Terms
  readonly order: Order
  readonly payment: LockRequest['payment']
  /** What the payer signed to move the money, as it came: of several payments of one order, this tells them apart. */
  readonly signed: unknown
}

export type LockOutcome = { readonly status: 'open'; readonly transaction: string } | PaymentRefusal

/** Locks orders through a facilitator, and believes the chain alone. */
export interface Locking {
  /** Until the chain confirms it and the gate admits it; several calls that can only end alike are one. */
  lock(order: Lockable, signal: AbortSignal): Promise<LockOutcome>
}

export interface LockingOptions {
  readonly node: Address
  /** See the store's. */
  readonly booksId: Hex
  /** The escrow's EIP-712 domain separator. */
  readonly separator: Hex
  /** Signs 32 bytes with the node's key. */
  readonly signDigest: (digest: Hex) => Hex
  readonly facilitator: Facilitator
  readonly service: Pick<PaidService, 'admitOrder'>
  /** How long the chain may take to show what the facilitator calls locked. */
  readonly confirmTimeoutMs: number
  readonly clock: Clock
  readonly sleep: Sleep
  readonly logger: Logger
}

const POLL_MS = 250

export function createLocking(options: LockingOptions): Locking {
  const { node, booksId, separator, signDigest, facilitator, service, confirmTimeoutMs, clock, sleep, logger } = options
  const running = new Map<string, Promise<LockOutcome>>()

  /**
   * All processes that share the node's books make the same attempt, so that any of them can go on with it; the books
   * serve it once. Two books under one key make two, and the facilitator takes one. What was locked as a session is not
   * locked again as a stock payment.
   */
  function stepOf(orderId: Hex, scheme: string): LockStep {
    const named = [node, booksId, orderId, scheme]
    const attempt = solidityPackedKeccak256(['address', 'bytes32', 'bytes32', 'string'], named) as Hex
    const digest = structDigest(separator, { name: 'LockAttempt', value: { orderId, attempt } })
    return { phase: 'lock', attempt, signature: signDigest(digest) }
  }

  async function lockOnce({ orderId, terms, order, payment }: Lockable, signal: AbortSignal): Promise<LockOutcome> {
    const { scheme } = payment.accepted
    const ask = () => facilitator.lock({ payment, step: stepOf(orderId, scheme) }, signal)
    let answer = await ask()
    if (answer.status === 'unknown' && scheme === 'upto') {
      // That it is open does not say for whom: other books may have locked it, and would answer it too.
      await sleep(POLL_MS, signal)
      answer = await ask()
      if (answer.status === 'unknown') return pending(orderId, `of the facilitator, ${answer.detail}`)
    }
    if (answer.status === 'refused') {
      const { reason, message } = answer
      logger.info({ orderId, reason }, 'the facilitator locked nothing')
      const code = reason === 'payment_already_used' ? 'PAYMENT_ALREADY_USED' : 'LOCK_REFUSED'
      const said = message === '' ? reason : `${reason} (${message})`
      return refusePayment(code, `The facilitator did not lock the money: ${said}.`, { reason })
    }
    // It may have landed although nobody said so.
    const until = clock() + (answer.status === 'locked' ? confirmTimeoutMs : 0)
    for (;;) {
      const admission = await service.admitOrder(toWire({ terms, order }))
      if (admission.status === 'admitted') {
        return { status: 'open', transaction: answer.status === 'locked' ? answer.transaction : '' }
      }
      if (admission.reason !== 'order-not-open') return refusalOfCore(admission)
      if (signal.aborted || clock() >= until) {
        const why = answer.status === 'locked' ? 'the chain does not show it' : `of the facilitator, ${answer.detail}`
        return pending(orderId, why)
      }
      await sleep(POLL_MS, signal)
    }
  }

  function pending(orderId: Hex, why: string): PaymentRefusal {
    logger.warn({ orderId, why }, 'a lock is not confirmed')
    return lockPending(why)
  }

  return {
    lock: async (order, signal) => {
      const key = outcomeKey(order)
      const started = running.get(key)
      if (started !== undefined) return started
      const locking = lockOnce(order, signal).finally(() => running.delete(key))
      running.set(key, locking)
      return locking
    },
  }
}

/**
 * All that the facilitator judges by. Orders are public or can be guessed: whoever sends a twin of a payment, with
 * another signature or approval, must neither spoil nor share its outcome.
 */
function outcomeKey({ orderId, signed, payment: { accepted, extensions } }: Lockable): string {
  const judged = JSON.stringify([orderId, accepted, signed, extensions])
  return createHash('sha256').update(judged).digest('hex')
}
