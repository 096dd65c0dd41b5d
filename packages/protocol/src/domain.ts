import { hashStruct } from './hashStruct.js'
import { type StructName, type StructValues, TYPES, structsOf } from './structs.js'
import type { Address, EscrowContext, Hex } from './types.js'
import { Words, keccak, keccakText } from './words.js'

/** An EIP-712 domain, as ethers and viem take it. */
export interface TypedDomain {
  readonly name: string
  readonly version?: string
  readonly chainId: bigint
  readonly verifyingContract: Address
}

/** Typed data as wallets sign it. With ethers: `signer.signTypedData(data.domain, data.types, data.message)`. */
export interface TypedData {
  readonly domain: TypedDomain
  readonly types: Record<string, { name: string; type: string }[]>
  readonly primaryType: string
  readonly message: Record<string, unknown>
}

const ESCROW_NAME = 'InferenceEscrow'
const ESCROW_VERSION = '1'
const DOMAIN_TYPE_HASH = keccakText(
  'EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)',
)
const NAME_HASH = keccakText(ESCROW_NAME)
const VERSION_HASH = keccakText(ESCROW_VERSION)

/** The escrow's EIP-712 domain. `chainId` is the live one, as `eth_chainId` gives it. */
export function escrowDomain({ chainId, escrow }: EscrowContext): TypedDomain {
  return { name: ESCROW_NAME, version: ESCROW_VERSION, chainId, verifyingContract: escrow }
}

/** The escrow's domain separator: compute it once for a chain and an escrow, and keep it. */
export function domainSeparator({ chainId, escrow }: EscrowContext): Hex {
  const words = new Words(5)
  words.writeHex(0, DOMAIN_TYPE_HASH, { length: 32, field: 'domain' })
  words.writeHex(1, NAME_HASH, { length: 32, field: 'domain.name' })
  words.writeHex(2, VERSION_HASH, { length: 32, field: 'domain.version' })
  words.writeUint(3, chainId, { bits: 256, field: 'chainId' })
  words.writeHex(4, escrow, { length: 20, field: 'escrow' })
  return words.hash()
}

/** EIP-712 digest, `keccak256(0x1901 ‖ domainSeparator ‖ structHash)`: what is signed. */
export function typedDigest(separator: Hex, structHash: Hex): Hex {
  const words = new Words(3)
  words.writeHex(1, separator, { length: 32, field: 'domainSeparator' })
  words.writeHex(2, structHash, { length: 32, field: 'structHash' })
  // The two prefix bytes stand right before the second word.
  words.bytes[30] = 0x19
  words.bytes[31] = 0x01
  return keccak(words.bytes.subarray(30))
}

/** Digest of a struct under the escrow's domain separator. @throws {InvalidInputError} if a member does not fit */
export function structDigest<Name extends StructName>(
  separator: Hex,
  { name, value }: { readonly name: Name; readonly value: StructValues[Name] },
): Hex {
  return typedDigest(separator, hashStruct(name, value))
}

/** A struct of the escrow's domain as typed data, for a wallet to sign. */
export function typedData<Name extends StructName>(
  context: EscrowContext,
  { name, value }: { readonly name: Name; readonly value: StructValues[Name] },
): TypedData {
  return { domain: escrowDomain(context), types: typesFor(name), primaryType: name, message: { ...value } }
}

/** Fresh copies of a struct's types and of those it refers to, since wallets' libraries ask for mutable ones. */
export function typesFor(name: StructName): Record<string, { name: string; type: string }[]> {
  return Object.fromEntries(structsOf(name).map((struct) => [struct, TYPES[struct].map((field) => ({ ...field }))]))
}
