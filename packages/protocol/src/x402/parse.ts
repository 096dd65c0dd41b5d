import {
  parseAddress,
  parseBool,
  parseBytes,
  parseBytes32,
  parseObject,
  parseSmallUint,
  parseUint,
  type Reader,
} from '../codec.js'
import { InvalidInputError } from '../errors.js'
import {
  MAX_SIGNATURE_BYTES,
  parseInferenceRequest,
  parseOrder,
  parseSettlement,
  parseSignedReceipt,
  parseSignedVoucher,
  parseTerms,
} from '../parse.js'
import type { Address, Hex } from '../types.js'
import type {
  CaptureStep,
  LockStep,
  Offer,
  SellerStep,
  SettledExtra,
  UptoExtra,
  UptoPayment,
  WorkOrderExtra,
  WorkOrderPayment,
  WorkOrderPermitSignature,
} from './types.js'

/** The member of a scheme payload that only sellers may write. */
export const SELLER_MEMBER = 'opg'
/** The most bytes of evidence that a capture may bring. */
export const MAX_EVIDENCE_BYTES = 16_384

const uint256 = parseUint(256)
const uint96 = parseUint(96)
const uint32 = parseSmallUint(32)
const signature = parseBytes({ min: 64, max: MAX_SIGNATURE_BYTES })

const offer = parseObject<Offer>({ terms: parseTerms, claimWindow: uint32 })
const uptoExtra = parseObject<UptoExtra>({
  assetTransferMethod: only('permit2'),
  paymentFlow: only('escrow'),
  facilitatorAddress: parseAddress,
  adapter: parseAddress,
  offer,
  name: optional(shortText),
  version: optional(shortText),
})

interface WireAuthorization {
  readonly from: Address
  readonly permitted: { readonly token: Address; readonly amount: bigint }
  readonly spender: Address
  readonly nonce: bigint
  readonly deadline: bigint
  readonly witness: { readonly to: Address; readonly facilitator: Address; readonly validAfter: bigint }
}
const uptoPayment = parseObject<{ readonly permit2Authorization: WireAuthorization; readonly signature: Hex }>({
  permit2Authorization: parseObject<WireAuthorization>({
    from: parseAddress,
    permitted: parseObject({ token: parseAddress, amount: uint96 }),
    spender: parseAddress,
    nonce: uint256,
    deadline: uint256,
    witness: parseObject({ to: parseAddress, facilitator: parseAddress, validAfter: uint256 }),
  }),
  signature,
})

const lockStep = parseObject<LockStep>({
  phase: only('lock'),
  attempt: parseBytes32,
  signature: parseBytes({ min: 64, max: 65 }),
})
const captureStep = parseObject<CaptureStep>({
  phase: only('capture'),
  settlement: parseSettlement,
  evidence: parseBytes({ min: 0, max: MAX_EVIDENCE_BYTES }),
})

const workOrderExtra = parseObject<WorkOrderExtra>({
  terms: parseTerms,
  deploymentChainId: parseSmallUint(48),
  minAmount: uint96,
  minSecondsToClaimBy: uint32,
  vouchers: parseBool,
})
const workOrderPayment = parseObject<WorkOrderPayment>({
  terms: parseTerms,
  order: parseOrder,
  permit: optional(parseObject<WorkOrderPermitSignature>({ deadline: uint256, signature })),
  request: parseInferenceRequest,
  signature,
  voucher: optional(parseSignedVoucher),
})
const settledExtra = parseObject<SettledExtra>({
  orderId: parseBytes32,
  state: oneOf(['locked', 'queued', 'captured', 'released']),
  receipt: optional(parseSignedReceipt),
})

/** Reads an `Offer` from parsed JSON. @throws {InvalidInputError} */
export function parseOffer(value: unknown, field = 'offer'): Offer {
  return offer(value, field)
}

/** Reads `extra` of our `upto` requirements; what others may have added is left out. @throws {InvalidInputError} */
export function parseUptoExtra(value: unknown, field = 'extra'): UptoExtra {
  return uptoExtra(
    known(value, ['assetTransferMethod', 'paymentFlow', 'facilitatorAddress', 'adapter', 'offer', 'name', 'version']),
    field,
  )
}

/** Reads the scheme payload of a stock `upto` client. @throws {InvalidInputError} also for a seller's step in it */
export function parseUptoPayment(value: unknown, field = 'payload'): UptoPayment {
  const { permit2Authorization, signature: signed } = uptoPayment(value, field)
  const { permitted, witness, ...rest } = permit2Authorization
  return { authorization: { ...rest, ...permitted, ...witness }, signature: signed }
}

/** Reads a seller's step. @throws {InvalidInputError} */
export function parseSellerStep(value: unknown, field = `payload.${SELLER_MEMBER}`): SellerStep {
  const phase = typeof value === 'object' && value !== null && 'phase' in value ? value.phase : undefined
  if (phase === 'lock') return lockStep(value, field)
  if (phase === 'capture') return captureStep(value, field)
  throw new InvalidInputError({ field: `${field}.phase`, expected: '"lock" or "capture"', value: phase })
}

/** Reads `extra` of `work-order` requirements; what others may have added is left out. @throws {InvalidInputError} */
export function parseWorkOrderExtra(value: unknown, field = 'extra'): WorkOrderExtra {
  return workOrderExtra(
    known(value, ['terms', 'deploymentChainId', 'minAmount', 'minSecondsToClaimBy', 'vouchers']),
    field,
  )
}

/** Reads the scheme payload of `work-order`. @throws {InvalidInputError} also for a seller's step in it */
export function parseWorkOrderPayment(value: unknown, field = 'payload'): WorkOrderPayment {
  return workOrderPayment(value, field)
}

/** Reads what we add to a settle response, `extra.opg`. @throws {InvalidInputError} */
export function parseSettledExtra(value: unknown, field = 'extra.opg'): SettledExtra {
  return settledExtra(value, field)
}

/** Those of an object's members that have a meaning here. Requirements may carry more. */
function known(value: unknown, members: readonly string[]): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).filter(([key]) => members.includes(key)))
}

function optional<T>(read: Reader<T>): Reader<T | undefined> {
  return (value, field) => (value === undefined ? undefined : read(value, field))
}

function only<T extends string>(text: T): Reader<T> {
  return oneOf([text])
}

function oneOf<T extends string>(texts: readonly T[]): Reader<T> {
  return (value, field) => {
    const found = texts.find((text) => text === value)
    if (found === undefined) {
      throw new InvalidInputError({ field, expected: texts.map((text) => `"${text}"`).join(' or '), value })
    }
    return found
  }
}

function shortText(value: unknown, field: string): string {
  if (typeof value !== 'string' || value.length > 100) {
    throw new InvalidInputError({ field, expected: 'a text of at most 100 characters', value })
  }
  return value
}
