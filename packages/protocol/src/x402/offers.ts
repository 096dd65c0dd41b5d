import { parseAddress } from '../codec.js'
import { PERMIT2, ZERO_BYTES32 } from '../constants.js'
import { type TypedData, typedDigest } from '../domain.js'
import { InvalidInputError } from '../errors.js'
import { hashStruct } from '../hashStruct.js'
import { permit2DomainSeparator, tokenPermissionsHash } from '../permit.js'
import type { Address, Hex, Order } from '../types.js'
import { Words, bytesOfHex, hexOf, keccak, keccakText } from '../words.js'
import type { Offer, UptoAuthorization } from './types.js'

/** The x402 upto proxy, at one address on every chain. */
export const UPTO_PROXY: Address = '0x4020A4f3b7b90ccA423B9fabCc0CE57C6C240002'

const WITNESS_TYPE = 'Witness(address to,address facilitator,uint256 validAfter)'
const WITNESS_TYPE_HASH = keccakText(WITNESS_TYPE)
const PERMIT_TYPE_HASH = keccakText(
  `PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,Witness witness)TokenPermissions(address token,uint256 amount)${WITNESS_TYPE}`,
)
/** As x402 2.27 publishes them for `upto`. */
const PERMIT_TYPES = {
  PermitWitnessTransferFrom: [
    { name: 'permitted', type: 'TokenPermissions' },
    { name: 'spender', type: 'address' },
    { name: 'nonce', type: 'uint256' },
    { name: 'deadline', type: 'uint256' },
    { name: 'witness', type: 'Witness' },
  ],
  TokenPermissions: [
    { name: 'token', type: 'address' },
    { name: 'amount', type: 'uint256' },
  ],
  Witness: [
    { name: 'to', type: 'address' },
    { name: 'facilitator', type: 'address' },
    { name: 'validAfter', type: 'uint256' },
  ],
}
const MAX_UINT40 = (1n << 40n) - 1n

/** The id of an offer: EIP-712 `hashStruct`, and the salt of its desk. */
export function offerHash(offer: Offer): Hex {
  return hashStruct('Offer', offer)
}

/**
 * The address of an offer's desk, by CREATE2 (EIP-1014) from its adapter. Whoever signs it signs the offer, so compute it
 * rather than believe it.
 *
 * @param input `initCodeHash`: keccak256 of the desk's creation code, `UptoAdapter.DESK_INIT_CODE_HASH()`
 */
export function deskAddress(input: {
  readonly adapter: Address
  readonly initCodeHash: Hex
  readonly offer: Offer
}): Address {
  const words = new Words(4)
  words.writeHex(0, input.adapter, { length: 20, field: 'adapter' })
  words.writeHex(1, offerHash(input.offer), { length: 32, field: 'offer' })
  words.writeHex(2, input.initCodeHash, { length: 32, field: 'initCodeHash' })
  // 0xff stands right before the adapter's 20 bytes.
  words.bytes[11] = 0xff
  return parseAddress(`0x${keccak(words.bytes.subarray(11, 96)).slice(-40)}`)
}

/**
 * The order that an `upto` authorization opens under an offer: the payer is its requester, it is a session, and all else
 * is what was signed.
 *
 * @throws {InvalidInputError} if `claimBy` does not fit
 */
export function uptoOrder({ claimWindow }: Offer, authorization: UptoAuthorization): Order {
  const { from, nonce, amount, deadline } = authorization
  const claimBy = deadline + BigInt(claimWindow)
  if (claimBy > MAX_UINT40) {
    throw new InvalidInputError({
      field: 'deadline',
      expected: `at most 2^40 - 1 - ${String(claimWindow)}`,
      value: deadline,
    })
  }
  return {
    payer: from,
    nonce,
    amount,
    job: { requester: from, requestHash: ZERO_BYTES32 },
    claimBy: Number(claimBy),
  }
}

/**
 * What a stock `upto` client signs, as typed data. Sign with ethers by
 * `signer.signTypedData(data.domain, data.types, data.message)`.
 *
 * @throws {InvalidInputError} if a member does not fit
 */
export function uptoTypedData(chainId: bigint, authorization: UptoAuthorization): TypedData {
  uptoDigest(chainId, authorization) // names the member that does not fit
  const { token, amount, spender, nonce, deadline, to, facilitator, validAfter } = authorization
  return {
    domain: { name: 'Permit2', chainId, verifyingContract: PERMIT2 },
    types: PERMIT_TYPES,
    primaryType: 'PermitWitnessTransferFrom',
    message: { permitted: { token, amount }, spender, nonce, deadline, witness: { to, facilitator, validAfter } },
  }
}

/** The Permit2 digest that a stock `upto` client signs. @throws {InvalidInputError} if a member does not fit */
export function uptoDigest(chainId: bigint, authorization: UptoAuthorization): Hex {
  const witness = new Words(4)
  witness.writeHex(0, WITNESS_TYPE_HASH, { length: 32, field: 'witness' })
  witness.writeHex(1, authorization.to, { length: 20, field: 'witness.to' })
  witness.writeHex(2, authorization.facilitator, { length: 20, field: 'witness.facilitator' })
  witness.writeUint(3, authorization.validAfter, { bits: 256, field: 'witness.validAfter' })
  const words = new Words(6)
  words.writeHex(0, PERMIT_TYPE_HASH, { length: 32, field: 'permit' })
  words.writeHex(1, tokenPermissionsHash(authorization.token, authorization.amount), {
    length: 32,
    field: 'permitted',
  })
  words.writeHex(2, authorization.spender, { length: 20, field: 'spender' })
  words.writeUint(3, authorization.nonce, { bits: 256, field: 'nonce' })
  words.writeUint(4, authorization.deadline, { bits: 256, field: 'deadline' })
  words.writeHex(5, witness.hash(), { length: 32, field: 'witness' })
  return typedDigest(permit2DomainSeparator(chainId), words.hash())
}

/**
 * What `UptoAdapter.fund` takes as `data`: `abi.encode(uint32 claimWindow, uint256 validAfter, bytes signature)`.
 *
 * @throws {InvalidInputError} if the signature is not hex
 */
export function uptoFundingData(input: {
  readonly claimWindow: number
  readonly validAfter: bigint
  readonly signature: Hex
}): Hex {
  const bytes = bytesOfHex(input.signature)
  if (bytes === undefined) {
    throw new InvalidInputError({
      field: 'signature',
      expected: 'bytes as 0x and hexadecimal digits',
      value: input.signature,
    })
  }
  const words = new Words(4 + Math.ceil(bytes.length / 32))
  words.writeUint(0, input.claimWindow, { bits: 32, field: 'claimWindow' })
  words.writeUint(1, input.validAfter, { bits: 256, field: 'validAfter' })
  words.writeUint(2, 96n, { bits: 256, field: 'signature' })
  words.writeUint(3, BigInt(bytes.length), { bits: 256, field: 'signature' })
  words.bytes.set(bytes, 128)
  return hexOf(words.bytes)
}
