import { createRequire } from 'node:module'
import { PERMIT2 } from './constants.js'
import { type TypedData, typedDigest, typesFor } from './domain.js'
import { InvalidInputError } from './errors.js'
import { workOrderHash, workOrderOf } from './ids.js'
import { encodeType, structsOf } from './structs.js'
import type { Address, EscrowContext, Hex, Order, Terms } from './types.js'
import { Words, keccakText } from './words.js'

/** What a payer signs: an order under its terms, and until when Permit2 takes the signature. */
export interface WorkOrderPermit extends EscrowContext {
  /** OPG. */
  readonly token: Address
  /** For a digest, their struct hash serves as well where many orders share them. */
  readonly terms: Terms
  readonly order: Order
  /** uint256, Unix seconds. */
  readonly deadline: bigint
}

const TOKEN_PERMISSIONS = 'TokenPermissions(address token,uint256 amount)'

/** What Permit2 appends to its own stub: the witness member, then the referenced types in alphabetical order. */
export const WITNESS_TYPE_STRING = `WorkOrder witness)${referencedTypes()}`

const PERMIT_TYPE_HASH = keccakText(
  `PermitWitnessTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline,${WITNESS_TYPE_STRING}`,
)
const TOKEN_PERMISSIONS_TYPE_HASH = keccakText(TOKEN_PERMISSIONS)
const DOMAIN_TYPE_HASH = keccakText('EIP712Domain(string name,uint256 chainId,address verifyingContract)')
const NAME_HASH = keccakText('Permit2')

/**
 * The payer's Permit2 `PermitWitnessTransferFrom` as typed data: one signature for the money and the terms. Its
 * spender is the escrow, its witness the work order. Sign with ethers by
 * `signer.signTypedData(data.domain, data.types, data.message)`.
 *
 * @throws {InvalidInputError} if a member does not fit its type
 */
export function workOrderPermit(permit: WorkOrderPermit): TypedData {
  workOrderPermitDigest(permit) // names the member that does not fit, which the SDK would not
  const { chainId, escrow, token, terms, order, deadline } = permit
  if (chainId > BigInt(Number.MAX_SAFE_INTEGER)) {
    throw new InvalidInputError({ field: 'chainId', expected: 'below 2^53', value: chainId })
  }
  const witness = workOrderOf(terms, order)
  const data = permit2Sdk().SignatureTransfer.getPermitData(
    { permitted: { token, amount: order.amount }, spender: escrow, nonce: order.nonce, deadline },
    PERMIT2,
    Number(chainId),
    { witness, witnessTypeName: 'WorkOrder', witnessType: typesFor('WorkOrder') },
  )
  return {
    domain: { name: 'Permit2', chainId, verifyingContract: PERMIT2 },
    types: data.types,
    primaryType: 'PermitWitnessTransferFrom',
    message: { ...data.values },
  }
}

/**
 * The digest that the payer signs, without the SDK: for whoever checks many of them.
 *
 * @throws {InvalidInputError} if a member does not fit its type
 */
export function workOrderPermitDigest(permit: Omit<WorkOrderPermit, 'terms'> & { readonly terms: Terms | Hex }): Hex {
  const { chainId, escrow, token, terms, order, deadline } = permit
  const words = new Words(6)
  words.writeHex(0, PERMIT_TYPE_HASH, { length: 32, field: 'permit' })
  words.writeHex(1, tokenPermissionsHash(token, order.amount), { length: 32, field: 'permitted' })
  words.writeHex(2, escrow, { length: 20, field: 'escrow' })
  words.writeUint(3, order.nonce, { bits: 256, field: 'order.nonce' })
  words.writeUint(4, deadline, { bits: 256, field: 'deadline' })
  words.writeHex(5, workOrderHash(terms, order), { length: 32, field: 'witness' })
  return typedDigest(permit2DomainSeparator(chainId), words.hash())
}

/** Struct hash of Permit2's `TokenPermissions`. `amount` is a uint96 here. */
export function tokenPermissionsHash(token: Address, amount: bigint): Hex {
  const words = new Words(3)
  words.writeHex(0, TOKEN_PERMISSIONS_TYPE_HASH, { length: 32, field: 'permitted' })
  words.writeHex(1, token, { length: 20, field: 'token' })
  words.writeUint(2, amount, { bits: 96, field: 'amount' })
  return words.hash()
}

const separators = new Map<bigint, Hex>()

/** The domain separator of canonical Permit2 on a chain. Computed once for each: a process sees few chains. */
export function permit2DomainSeparator(chainId: bigint): Hex {
  const known = separators.get(chainId)
  if (known !== undefined) return known
  const separator = separatorOf(chainId)
  if (separators.size < 100) separators.set(chainId, separator)
  return separator
}

function separatorOf(chainId: bigint): Hex {
  const words = new Words(4)
  words.writeHex(0, DOMAIN_TYPE_HASH, { length: 32, field: 'domain' })
  words.writeHex(1, NAME_HASH, { length: 32, field: 'domain.name' })
  words.writeUint(2, chainId, { bits: 256, field: 'chainId' })
  words.writeHex(3, PERMIT2, { length: 20, field: 'permit2' })
  return words.hash()
}

function referencedTypes(): string {
  const own = structsOf('WorkOrder').map((name) => {
    const full = encodeType(name)
    return full.slice(0, full.indexOf(')') + 1)
  })
  return [...own, TOKEN_PERMISSIONS].sort().join('')
}

/** Loaded when first asked for, and by `require`: the package's ES modules do not resolve in Node. */
function permit2Sdk(): typeof import('@uniswap/permit2-sdk') {
  return createRequire(import.meta.url)('@uniswap/permit2-sdk') as typeof import('@uniswap/permit2-sdk')
}
