import type { Clock, Logger, Sleep } from '@opg/operator'
import type { Hex } from '@opg/protocol'
import { isDeepStrictEqual } from 'node:util'
import type { EscrowReader } from '../chain/escrowReader.js'
import { createAccountSignature } from '../gate/accountSignature.js'
import type { PaidService } from '../service/types.js'
import type { NodeStore } from '../store/types.js'
import type { Facilitator } from './facilitator.js'
import { createLocking } from './locking.js'
import { readPayment, type ReadPayment } from './paymentHeader.js'
import { mismatch } from './refusal.js'
import { requirementsFor, type Selling } from './requirements.js'
import { createSponsoring } from './sponsoring.js'
import { runSweep, sweepPayments } from './sweep.js'
import type { Cashier, PaymentRefusal, Sale } from './types.js'
import { acceptUpto } from './uptoPayments.js'
import { acceptWorkOrder } from './workOrderPayments.js'

export interface CashierOptions {
  readonly selling: Selling
  readonly service: PaidService
  readonly store: NodeStore
  readonly chain: Pick<EscrowReader, 'chainId' | 'codeHash' | 'isValidSignature' | 'seed' | 'separator' | 'snapshot'>
  /** Signs 32 bytes with the node's key. */
  readonly signDigest: (digest: Hex) => Hex
  /** Who locks; undefined where payers open their orders themselves, and then there is no `upto`. */
  readonly facilitator: Facilitator | undefined
  /** How long the chain may take to show what the facilitator calls locked. */
  readonly confirmTimeoutMs?: number
  /** How long the answer to a stock payment is given again. */
  readonly replayMs: number
  readonly clock: Clock
  readonly sleep: Sleep
  readonly logger: Logger
}

const DEFAULT_CONFIRM_TIMEOUT_MS = 20_000
const MAX_KEPT = 1_000
/** However rarely the node settles, what its facilitator takes is asked so often. */
const MAX_ASK_INTERVAL_MS = 60_000

/** Sells over x402 v2: stock `upto` with the money locked before compute, and requests under work orders. */
export function createCashier(options: CashierOptions): Cashier {
  const { service, store, chain, facilitator, sleep, confirmTimeoutMs = DEFAULT_CONFIRM_TIMEOUT_MS } = options
  const selling = facilitator === undefined ? { ...options.selling, upto: undefined } : options.selling
  const { node } = selling.terms
  const { seed, separator, chainId } = chain
  const isSignedBy = createAccountSignature(options)
  const locking =
    facilitator === undefined
      ? undefined
      : createLocking({ ...options, node, booksId: store.booksId, separator, facilitator, confirmTimeoutMs })

  const sponsoring =
    facilitator === undefined || selling.upto?.approval === undefined ? undefined : createSponsoring(facilitator, sleep)
  const requirements = keepRequirements(selling)

  function refusalByAccepted({ scheme, accepted }: ReadPayment, sale: Sale): PaymentRefusal | undefined {
    const offered = requirements(sale)
    const own = offered.find((each) => each.scheme === scheme)
    if (own === undefined) {
      const schemes = offered.map((each) => each.scheme).join(', ')
      return mismatch(`The scheme must be one of ${schemes}.`, 'unsupported_scheme')
    }
    // A session keeps the requirements that it began with. What it pays at most for a request stands in the request.
    const isSame =
      scheme === 'work-order'
        ? isDeepStrictEqual({ ...accepted, amount: '' }, { ...own, amount: '' })
        : isDeepStrictEqual(accepted, own)
    return isSame ? undefined : mismatch('What was accepted is not what this request asks for.', 'invalid_accepted')
  }

  return {
    takesUpto: selling.upto !== undefined,
    get extensions() {
      return sponsoring?.extensions
    },
    requirements,
    accept: async (header, sale, signal) => {
      const payment = readPayment(header)
      const wrong = refusalByAccepted(payment, sale)
      if (wrong !== undefined) return wrong
      if (payment.scheme === 'work-order') {
        return acceptWorkOrder({ selling, seed, locking, service, store }, { payment, sale, signal })
      }
      if (locking === undefined) return mismatch('This node takes no upto payments.', 'unsupported_scheme')
      return acceptUpto({ ...options, selling, seed, chainId, isSignedBy, locking }, { payment, sale, signal })
    },
    sweepOnce: async () => {
      await sweepPayments(options, new AbortController().signal)
    },
    run: async ({ signal, intervalMs }) => {
      await Promise.all([
        runSweep(options, { signal, intervalMs, sleep }),
        sponsoring?.run({ signal, intervalMs: Math.min(intervalMs, MAX_ASK_INTERVAL_MS) }),
      ])
    },
  }
}

/** They are the same for the same quote, always, and hash an offer: of the last 1,000 quotes they are kept. */
function keepRequirements(selling: Selling): Cashier['requirements'] {
  const kept = new Map<string, ReturnType<Cashier['requirements']>>()
  return (quote) => {
    const key = `${quote.modelId}:${quote.maxFee.toString()}`
    const found = kept.get(key) ?? requirementsFor(selling, quote)
    if (kept.size >= MAX_KEPT) kept.clear()
    kept.set(key, found)
    return found
  }
}
