import { canonicalJson } from './canonicalJson.js'
import { InvalidInputError } from './errors.js'
import { orderSeed } from './ids.js'
import { leafHash } from './merkle.js'
import type { Address, EscrowContext, Hex } from './types.js'
import { Words, keccak, keccakText } from './words.js'

/** What an OpenGradient gateway signs today: a request, an answer and a time, and no order. */
export interface GatewayReceipt {
  /** bytes32. See `gatewayInputHash`; an order for the request has it as its `requestHash`. */
  readonly inputHash: Hex
  /** bytes32. See `gatewayOutputHash`. */
  readonly outputHash: Hex
  /** uint40, Unix seconds. */
  readonly timestamp: number
}

/** A chat request, of which only the messages are read. */
export interface GatewayRequest {
  readonly messages: readonly { readonly role: string; readonly content?: unknown }[]
}

const REFERENCE = /^Payment reference (0x[0-9a-f]{64})\.(?:\n|$)/

/** What all gateways hash of a request. Others of its members some hash, and some do not. */
const HASHED: readonly string[] = ['model', 'messages', 'temperature', 'max_tokens', 'stop', 'tools', 'response_format']
const ROLES: readonly unknown[] = ['system', 'user', 'assistant']

/**
 * A chat request as gateways write it: Python's `json.dumps(request, sort_keys=True)`, with `temperature` as a float, and
 * 0.0 where it is missing. Gateways that hash what they get, and those that hash what they know of it, hash this alike.
 *
 * @throws {InvalidInputError} naming what not all of them would hash
 */
export function gatewayText(request: unknown): string {
  const members = membersOf(request)
  for (const [key, value] of members) {
    if (value === undefined) continue
    if (!HASHED.includes(key)) throw wrong(`request.${key.slice(0, 40)}`, 'absent: not all gateways hash it', value)
    const isEmpty = value === null || value === '' || (Array.isArray(value) && value.length === 0)
    if (isEmpty && key !== 'temperature') throw wrong(`request.${key}`, 'absent rather than empty', value)
  }
  const messages = members.get('messages')
  if (!Array.isArray(messages)) throw wrong('request.messages', 'a list', messages)
  messages.forEach((message: unknown, i) => {
    checkMessage(membersOf(message), `request.messages[${String(i)}]`)
  })
  const temperature = members.get('temperature') ?? 0
  if (typeof temperature !== 'number') throw wrong('request.temperature', 'a number', temperature)
  return canonicalJson({ ...Object.fromEntries(members), temperature }, { floats: ['temperature'] })
}

/** `keccak256` of the request as gateways write it (`gatewayText`). @throws {InvalidInputError} */
export function gatewayInputHash(request: unknown): Hex {
  return keccakText(gatewayText(request))
}

function checkMessage(members: ReadonlyMap<string, unknown>, field: string): void {
  const [role, content] = [members.get('role'), members.get('content')]
  if (!ROLES.includes(role)) throw wrong(`${field}.role`, 'system, user or assistant', role)
  if (typeof content !== 'string') throw wrong(`${field}.content`, 'a text', content)
  if (members.size > 2) throw wrong(field, 'role and content, and no more', [...members.keys()].join(', '))
}

function membersOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null && !Array.isArray(value) ? Object.entries(value) : [])
}

function wrong(field: string, expected: string, value: unknown): InvalidInputError {
  return new InvalidInputError({ field, expected, value })
}

/** `keccak256` of the answer's text in UTF-8. */
export function gatewayOutputHash(text: string): Hex {
  return keccakText(text)
}

/**
 * What a gateway signs: `keccak256(inputHash ‖ outputHash ‖ uint256 timestamp)`. RSA-PSS hashes these 32 bytes once more.
 *
 * @throws {InvalidInputError} if a member does not fit its type
 */
export function gatewayDigest({ inputHash, outputHash, timestamp }: GatewayReceipt): Hex {
  const words = new Words(3)
  words.writeHex(0, inputHash, { length: 32, field: 'inputHash' })
  words.writeHex(1, outputHash, { length: 32, field: 'outputHash' })
  words.writeUint(2, timestamp, { bits: 40, field: 'timestamp' })
  return keccak(words.bytes)
}

/** The receipt's leaf, which is the settlement's root too: there is one receipt. @throws {InvalidInputError} */
export function gatewayLeaf(receipt: GatewayReceipt): Hex {
  return leafHash(gatewayDigest(receipt))
}

/**
 * What a request must carry, since its receipt names no order: `keccak256(abi.encode(seed, payer, nonce))`, with the seed
 * of order ids, so `chainId` is that of the escrow's deployment. No two orders have the same.
 *
 * @throws {InvalidInputError} if a member does not fit its type
 */
export function gatewayReference(input: EscrowContext & { readonly payer: Address; readonly nonce: bigint }): Hex {
  const words = new Words(3)
  words.writeHex(0, orderSeed(input), { length: 32, field: 'seed' })
  words.writeHex(1, input.payer, { length: 20, field: 'payer' })
  words.writeUint(2, input.nonce, { bits: 256, field: 'nonce' })
  return words.hash()
}

/**
 * Puts a reference into a request: as the first line of its system message, which is made if it does not begin with one.
 *
 * @throws {InvalidInputError} if the request carries a reference already, or its system message is no text
 */
export function withGatewayReference<T extends GatewayRequest>(request: T, reference: Hex): T {
  if (gatewayReferenceOf(request) !== undefined) {
    throw new InvalidInputError({
      field: 'request.messages[0]',
      expected: 'without a payment reference',
      value: request,
    })
  }
  const line = `Payment reference ${reference.toLowerCase()}.`
  if (!REFERENCE.test(line)) throw new InvalidInputError({ field: 'reference', expected: '32 bytes', value: reference })
  const [first, ...others] = request.messages
  if (first?.role !== 'system') {
    return { ...request, messages: [{ role: 'system', content: line }, ...request.messages] }
  }
  if (typeof first.content !== 'string') {
    throw new InvalidInputError({ field: 'request.messages[0].content', expected: 'a text', value: first.content })
  }
  return { ...request, messages: [{ ...first, content: `${line}\n${first.content}` }, ...others] }
}

/** The reference that a request carries where `withGatewayReference` puts it; undefined if there is none. */
export function gatewayReferenceOf({ messages }: GatewayRequest): Hex | undefined {
  const content = messages[0]?.role === 'system' ? messages[0].content : undefined
  const reference = typeof content === 'string' ? REFERENCE.exec(content)?.[1] : undefined
  return reference === undefined ? undefined : `0x${reference.slice(2)}`
}
