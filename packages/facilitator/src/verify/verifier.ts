import { InvalidInputError, recoverSigner } from '@opg/protocol'
import type { Clock } from '@opg/operator'
import type { Eip2612Approval, Opening } from '../engine/types.js'
import { readApproval } from './approval.js'
import type { Candidate, CheckContext } from './candidate.js'
import type { ChainReader, PayerState } from './chainReader.js'
import type { Deployed } from './deployed.js'
import { createOfferReader, type ReadOffer } from './offers.js'
import type { Payment } from './payment.js'
import { refusalByAmount, type OfferPolicy } from './policy.js'
import { invalid, type Invalid } from './reasons.js'
import { sameJson } from './sameJson.js'
import { readUptoPayment, refusalByUptoTime } from './uptoPayment.js'
import { readSessionPayment, refusalBySessionTime } from './workOrderPayment.js'

export interface VerifierOptions {
  readonly deployed: Deployed
  readonly policy: OfferPolicy
  readonly reader: ChainReader
  readonly clock: Clock
}

/** A payment whose order is known, and nothing of whether it would open. */
export interface ReadOrder extends Candidate {
  readonly offer: ReadOffer
}

/** Judges payments. */
export interface Verifier {
  /**
   * What order a payment is about, by the payment alone.
   *
   * @param options `toCapture`: the money is locked already, so the requirements may ask for less than was accepted, and
   *   what this facilitator serves no longer matters
   */
  read(payment: Payment, options?: { readonly toCapture?: boolean }): ReadOrder | Invalid
  /** Whether it would open now. @throws {ChainUnavailableError} where the chain was not to be asked (N6) */
  judge(read: ReadOrder, payment: Payment): Promise<{ readonly status: 'valid'; readonly opening: Opening } | Invalid>
}

export function createVerifier({ deployed, policy, reader, clock }: VerifierOptions): Verifier {
  const readOffer = createOfferReader(deployed, policy)

  function readAgreed(payment: Payment, toCapture: boolean): ReadOffer | Invalid {
    const { accepted, version } = payment
    if (version !== 2) return invalid('invalid_x402_version', 'This facilitator speaks x402 version 2.')
    const requirements = toCapture ? { ...payment.requirements, amount: accepted.amount } : payment.requirements
    const json = JSON.stringify(requirements)
    const offer = readOffer(requirements, json)
    if (offer.status === 'invalid') return offer
    return refusalByAgreement({ accepted, requirements, json, scheme: offer.scheme }) ?? offer
  }

  function refusalByTime({ opening, offer }: ReadOrder, context: CheckContext): Invalid | undefined {
    return offer.scheme === 'upto'
      ? refusalByUptoTime(opening, context)
      : refusalBySessionTime(opening, { ...context, offer })
  }

  /** A bad signature of an account without code costs one read: floods of them must not become floods of the RPC. */
  async function judgeMoney(candidate: Candidate, approval: Eip2612Approval | undefined): Promise<Opening | Invalid> {
    const { digest } = candidate
    const { payer, nonce } = candidate.opening.order
    const { signature } = candidate.opening.funding
    const isRecovered = recoverSigner(digest, signature) === payer
    if (!isRecovered && !(await reader.hasCode(payer))) return badSignature(candidate)

    const opening = { ...candidate.opening, approval }
    const [state, simulated] = await Promise.all([reader.payer({ payer, nonce }), reader.simulateOpening(opening)])
    const isSigned = state.hasCode ? await reader.isValidSignature(payer, { digest, signature }) : isRecovered
    if (!isSigned) return badSignature(candidate)
    if (simulated.status === 'known') return alreadyOpen(candidate)
    if (simulated.status === 'opens') return needsApproval(opening, state) ? opening : candidate.opening
    if (state.isNonceUsed && (await reader.isKnownOrder(opening.orderId))) return alreadyOpen(candidate)
    return refusalByMoney(opening, state) ?? refusalBySimulation(candidate, simulated.reason)
  }

  return {
    read: (payment, { toCapture = false } = {}) =>
      reading(() => {
        const offer = readAgreed(payment, toCapture)
        if (offer.status === 'invalid') return offer
        const candidate =
          offer.scheme === 'upto'
            ? readUptoPayment(payment.payload, offer, deployed)
            : readSessionPayment(payment.payload, offer, deployed)
        if (candidate.status === 'invalid') return candidate
        const { order } = candidate.opening
        if (toCapture) return { ...candidate, offer }
        if (offer.refusal !== undefined) return { ...offer.refusal, payer: order.payer }
        return refusalByAmount(policy, order) ?? { ...candidate, offer }
      }),
    judge: async (read, { extensions }) => {
      const context = { nowSeconds: Math.floor(clock() / 1000), marginSeconds: policy.deadlineMarginSeconds }
      const late = refusalByTime(read, context)
      if (late !== undefined) return late
      const { token } = deployed
      const approval = policy.sponsorsApprovals
        ? readApproval(extensions, { ...context, opening: read.opening, token })
        : undefined
      if (approval !== undefined && 'status' in approval) return approval
      const judged = await judgeMoney(read, approval)
      return 'status' in judged ? judged : { status: 'valid', opening: judged }
    },
  }
}

/** Client and seller must mean the same offer: what was signed says nothing of what else the seller made of it. */
function refusalByAgreement(input: {
  readonly accepted: Readonly<Record<string, unknown>>
  readonly requirements: Readonly<Record<string, unknown>>
  readonly json: string
  readonly scheme: ReadOffer['scheme']
}): Invalid | undefined {
  const { accepted, requirements, json, scheme } = input
  if (JSON.stringify(accepted) === json) return undefined
  const isUpto = scheme === 'upto'
  if (accepted.scheme !== requirements.scheme) {
    return invalid(isUpto ? 'invalid_upto_evm_scheme' : 'unsupported_scheme', `The client accepted another scheme.`)
  }
  if (accepted.network !== requirements.network) {
    const reason = isUpto ? 'invalid_upto_evm_network_mismatch' : 'invalid_network'
    return invalid(reason, 'The client accepted another network.')
  }
  return sameJson(accepted, requirements)
    ? undefined
    : invalid('offer_mismatch', 'paymentPayload.accepted must be equal to paymentRequirements.')
}

function refusalByMoney({ order, approval }: Opening, state: PayerState): Invalid | undefined {
  const { amount, payer } = order
  if (state.isNonceUsed) {
    return invalid('permit2_invalid_nonce', `Nonce ${order.nonce.toString()} is used. Sign with a fresh one.`, payer)
  }
  if (state.balance < amount) {
    return invalid(
      'permit2_insufficient_balance',
      `The payer holds ${state.balance.toString()} base units of OPG, and the payment may take ${amount.toString()}.`,
      payer,
    )
  }
  if (state.allowance < amount) {
    const message =
      approval === undefined
        ? 'Approve Permit2, or sign an EIP-2612 approval along with the payment.'
        : 'The token did not take the EIP-2612 approval that came along: check its name, version, nonce and signer.'
    return invalid('permit2_allowance_required', `Permit2 may take too little OPG of the payer. ${message}`, payer)
  }
  return undefined
}

/** Gas is not spent on an approval that is there. */
function needsApproval({ order, approval }: Opening, state: PayerState): boolean {
  return approval !== undefined && state.allowance < order.amount
}

function refusalBySimulation({ opening }: Candidate, reason: string): Invalid {
  return invalid('permit2_simulation_failed', `The escrow would not open the order: ${reason}.`, opening.order.payer)
}

function badSignature({ opening }: Candidate): Invalid {
  const { payer } = opening.order
  return invalid('invalid_permit2_signature', `The authorization is not signed by the payer, ${payer}.`, payer)
}

function alreadyOpen({ opening }: Candidate): Invalid {
  return invalid(
    'payment_already_used',
    `Order ${opening.orderId} is open on chain, or was. Sign a new payment.`,
    opening.order.payer,
  )
}

function reading<T>(read: () => T | Invalid): T | Invalid {
  try {
    return read()
  } catch (error) {
    if (error instanceof InvalidInputError) return invalid('invalid_payload', error.message)
    throw error
  }
}
