import {
  InvalidInputError,
  deskAddress,
  parseUptoExtra,
  parseWorkOrderExtra,
  termsHash,
  type Address,
  type Hex,
  type Terms,
  type UptoExtra,
  type WorkOrderExtra,
} from '@opg/protocol'
import { networkOf, type Deployed } from './deployed.js'
import { readRequirements, type Requirements } from './payment.js'
import { refusalByPolicy, type OfferPolicy } from './policy.js'
import { invalid, type Invalid } from './reasons.js'

export type Scheme = 'upto' | 'work-order'

interface CommonOffer {
  readonly status: 'read'
  readonly requirements: Requirements
  readonly terms: Terms
  readonly termsHash: Hex
  /** Why no payment of it is taken here. What is wrong with a payment itself is said first. */
  readonly refusal: Invalid | undefined
}

/** What a seller's requirements say. */
export type ReadOffer =
  | (CommonOffer & {
      readonly scheme: 'upto'
      readonly extra: UptoExtra
      /** As it follows from the offer; zero's place where this chain has no adapter. */
      readonly desk: Address | undefined
    })
  | (CommonOffer & { readonly scheme: 'work-order'; readonly extra: WorkOrderExtra })

const MAX_KEPT = 1_000
const MAX_KEPT_LENGTH = 4_096

/**
 * Reads requirements. Sellers send the same again and again, and hashing them costs more than all else but the recovery
 * of a signer, so what was read is kept: at most 1,000 of up to 4,096 characters.
 */
export function createOfferReader(
  deployed: Deployed,
  policy: OfferPolicy,
): (requirements: Readonly<Record<string, unknown>>, json: string) => ReadOffer | Invalid {
  const kept = new Map<string, ReadOffer | Invalid>()
  return (value, json) => {
    const known = kept.get(json)
    if (known !== undefined) return known
    const offer = readOffer(value, { deployed, policy })
    if (kept.size >= MAX_KEPT) kept.clear()
    if (json.length <= MAX_KEPT_LENGTH) kept.set(json, offer)
    return offer
  }
}

function readOffer(
  value: Readonly<Record<string, unknown>>,
  { deployed, policy }: { readonly deployed: Deployed; readonly policy: OfferPolicy },
): ReadOffer | Invalid {
  try {
    const requirements = readRequirements(value)
    if (requirements.scheme === 'upto') return readUpto(requirements, { deployed, policy })
    if (requirements.scheme === 'work-order') return readWorkOrder(requirements, { deployed, policy })
    return invalid('unsupported_scheme', 'This facilitator takes the schemes upto and work-order.')
  } catch (error) {
    if (error instanceof InvalidInputError) return invalid('invalid_payment_requirements', error.message)
    throw error
  }
}

function readUpto(
  requirements: Requirements,
  { deployed, policy }: { readonly deployed: Deployed; readonly policy: OfferPolicy },
): ReadOffer {
  const extra = parseUptoExtra(requirements.extra, 'paymentRequirements.extra')
  const { terms } = extra.offer
  const hash = termsHash(terms)
  const { upto } = deployed
  const desk =
    upto === undefined
      ? undefined
      : deskAddress({ adapter: upto.adapter, initCodeHash: upto.deskInitCodeHash, offer: extra.offer })
  const refusal =
    refusalByPlace(requirements, deployed) ??
    refusalByDesk({ extra, desk, adapter: upto?.adapter }) ??
    refusalByPolicy(policy, { terms, termsHash: hash })
  return { status: 'read', scheme: 'upto', requirements, extra, desk, terms, termsHash: hash, refusal }
}

function refusalByDesk(input: {
  readonly extra: UptoExtra
  readonly desk: Address | undefined
  readonly adapter: Address | undefined
}): Invalid | undefined {
  const { extra, desk, adapter } = input
  if (adapter === undefined || desk === undefined) {
    return invalid('offer_not_served', 'There is no upto proxy on this chain. Offer the scheme work-order.')
  }
  if (extra.adapter !== adapter) {
    return invalid('offer_mismatch', `extra.adapter must be ${adapter}, and it is ${extra.adapter}.`)
  }
  if (extra.facilitatorAddress !== desk) {
    return invalid(
      'offer_mismatch',
      `extra.facilitatorAddress must be the desk of extra.offer, ${desk}, and it is ${extra.facilitatorAddress}.`,
    )
  }
  return undefined
}

function readWorkOrder(
  requirements: Requirements,
  { deployed, policy }: { readonly deployed: Deployed; readonly policy: OfferPolicy },
): ReadOffer {
  const extra = parseWorkOrderExtra(requirements.extra, 'paymentRequirements.extra')
  const { terms, deploymentChainId } = extra
  const hash = termsHash(terms)
  const refusal =
    refusalByPlace(requirements, deployed) ??
    (BigInt(deploymentChainId) === deployed.deploymentChainId
      ? undefined
      : invalid(
          'offer_mismatch',
          `extra.deploymentChainId must be ${deployed.deploymentChainId.toString()}, and it is ${String(deploymentChainId)}.`,
        )) ??
    refusalByPolicy(policy, { terms, termsHash: hash })
  return { status: 'read', scheme: 'work-order', requirements, extra, terms, termsHash: hash, refusal }
}

/** Whether the money is OPG, and goes where it is safe. */
function refusalByPlace(requirements: Requirements, deployed: Deployed): Invalid | undefined {
  const { scheme, network, asset, payTo } = requirements
  if (network !== networkOf(deployed)) {
    return invalid(
      scheme === 'upto' ? 'invalid_upto_evm_network_mismatch' : 'invalid_network',
      `This facilitator works on ${networkOf(deployed)}.`,
    )
  }
  if (asset !== deployed.token) {
    return invalid('offer_mismatch', `The asset must be OPG, ${deployed.token}, and it is ${asset}.`)
  }
  if (payTo !== deployed.escrow) {
    return invalid('offer_mismatch', `payTo must be the escrow, ${deployed.escrow}, and it is ${payTo}.`)
  }
  return undefined
}
