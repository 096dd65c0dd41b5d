import { InvalidInputError, SELLER_MEMBER, parseAddress, parseUint, type Address } from '@opg/protocol'

/** The parts of x402 v2 `PaymentRequirements` that every scheme has. */
export interface Requirements {
  readonly scheme: string
  readonly network: string
  readonly asset: Address
  /** uint96, base units. */
  readonly amount: bigint
  readonly payTo: Address
  readonly extra: unknown
}

/** What a seller hands in, with its shape read as far as every scheme has it. */
export interface Payment {
  readonly version: unknown
  /** The requirements as the seller has them. */
  readonly requirements: Readonly<Record<string, unknown>>
  /** The requirements as the client took them. */
  readonly accepted: Readonly<Record<string, unknown>>
  /** The scheme's payload as the client made it. */
  readonly payload: Readonly<Record<string, unknown>>
  /** What the seller added to it, if anything. */
  readonly step: unknown
  readonly extensions: Readonly<Record<string, unknown>>
}

const uint96 = parseUint(96)
/** More than any requirements need, and far from what would fill the stack. */
const MAX_DEPTH = 16

/** Reads x402 v2 `PaymentPayload` and `PaymentRequirements` from parsed JSON. @throws {InvalidInputError} */
export function readPayment(paymentPayload: unknown, paymentRequirements: unknown): Payment {
  const outer = objectOf(paymentPayload, 'paymentPayload')
  const requirements = shallow(objectOf(paymentRequirements, 'paymentRequirements'), 'paymentRequirements')
  const accepted = shallow(objectOf(outer.accepted, 'paymentPayload.accepted'), 'paymentPayload.accepted')
  const { [SELLER_MEMBER]: step, ...payload } = objectOf(outer.payload, 'paymentPayload.payload')
  const extensions = outer.extensions === undefined ? {} : objectOf(outer.extensions, 'paymentPayload.extensions')
  return { version: outer.x402Version, requirements, accepted, payload, step, extensions }
}

/** Reads the common parts of requirements. @throws {InvalidInputError} */
export function readRequirements(value: Readonly<Record<string, unknown>>): Requirements {
  const field = 'paymentRequirements'
  return {
    scheme: text(value.scheme, `${field}.scheme`),
    network: text(value.network, `${field}.network`),
    asset: parseAddress(value.asset, `${field}.asset`),
    amount: uint96(value.amount, `${field}.amount`),
    payTo: parseAddress(value.payTo, `${field}.payTo`),
    extra: value.extra,
  }
}

function objectOf(value: unknown, field: string): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new InvalidInputError({ field, expected: 'an object', value })
  }
  return value as Readonly<Record<string, unknown>>
}

function text(value: unknown, field: string): string {
  if (typeof value !== 'string') throw new InvalidInputError({ field, expected: 'a text', value })
  return value
}

/** Requirements are compared as a whole, whatever others put into them. */
function shallow<T extends object>(value: T, field: string): T {
  if (isDeeper(value, MAX_DEPTH)) {
    throw new InvalidInputError({ field, expected: `of at most ${String(MAX_DEPTH)} levels`, value: 'deeper' })
  }
  return value
}

function isDeeper(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false
  return levels === 0 || Object.values(value).some((member) => isDeeper(member, levels - 1))
}
