import { IERC20Metadata__factory, IERC20Permit__factory, InferenceEscrow__factory } from '@opg/bindings'
import { Interface, MaxUint256, type Provider, Signature, type Signer, TypedDataEncoder } from 'ethers'
import {
  type Address,
  type Hex,
  InvalidInputError,
  PERMIT2,
  type SignedOrder,
  type Terms,
  type TypedData,
  type TypedDomain,
  parseAddress,
  parseBytes,
} from '@opg/protocol'
import { asHex, askChain, askContract, isContractFault } from './chain.js'
import { type PreparedOrder, orderIdOf } from './createWorkOrder.js'
import { PermitUnsupportedError, SignerMismatchError } from './errors.js'
import type { EscrowInfo } from './escrowInfo.js'
import { checkSignedOrder, checkTerms, checkUint } from './input.js'
import { keySignature } from './keySignature.js'
import { openOrder } from './openOrder.js'
import { type Opening, sendOpening } from './sendOpening.js'
import { signWorkOrder } from './signWorkOrder.js'

const escrowInterface = InferenceEscrow__factory.createInterface()
const domainInterface = new Interface([
  'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
  'function version() view returns (string)',
])
const readKeySignature = parseBytes({ min: 65, max: 65 })
const PERMIT_TYPES = [
  { name: 'owner', type: 'address' },
  { name: 'spender', type: 'address' },
  { name: 'value', type: 'uint256' },
  { name: 'nonce', type: 'uint256' },
  { name: 'deadline', type: 'uint256' },
]

/** The payer's approval of Permit2 as a signature (EIP-2612), ready to be signed. */
export interface PreparedPermit {
  readonly owner: Address
  /** Base units that Permit2 may take. */
  readonly value: bigint
  /** Unix seconds. */
  readonly deadline: bigint
  /** What the payer's wallet shows and signs. */
  readonly typedData: TypedData
}

export interface SignedPermit {
  readonly owner: Address
  readonly value: bigint
  readonly deadline: bigint
  /** ECDSA of 65 bytes. */
  readonly signature: Hex
}

/** A work order with the approval that it needs; `permit` is null where Permit2 may take enough already. */
export interface GaslessStart<Permit> {
  readonly work: PreparedOrder
  readonly permit: Permit | null
}

/**
 * Prepares the first order of an account that has OPG and no gas: two messages to sign, the approval of Permit2 and the
 * order, which somebody else sends in one transaction (`openGasless`).
 *
 * @param options `amount`: base units that Permit2 may take, without a limit if absent; `deadline`: Unix seconds until
 *   which the approval may be sent, the order's own if absent
 * @throws {PermitUnsupportedError} if the token has no EIP-2612 approval whose domain can be told
 * @throws {InvalidInputError} {@link ContractNotFoundError} {@link ChainUnavailableError}
 */
export async function prepareGaslessStart(
  provider: Provider,
  options: {
    readonly escrow: EscrowInfo
    readonly work: PreparedOrder
    readonly amount?: bigint
    readonly deadline?: bigint
  },
): Promise<GaslessStart<PreparedPermit>> {
  const { escrow, work } = options
  const { payer: owner, amount: needed } = work.order
  const value = checkUint(options.amount ?? MaxUint256, { field: 'amount', bits: 256, min: needed })
  const deadline = checkUint(options.deadline ?? work.deadline, { field: 'deadline', bits: 256 })
  const token = IERC20Metadata__factory.connect(escrow.token, provider)
  const allowance = await askContract(
    provider,
    { field: 'token', address: escrow.token, action: 'read the allowance' },
    () => token.allowance(owner, PERMIT2),
  )
  if (allowance >= needed) return { work, permit: null }

  const domain = await permitDomain(provider, escrow)
  const permits = IERC20Permit__factory.connect(escrow.token, provider)
  const nonce = await askChain('read a permit nonce', () => permits.nonces(owner))
  const message = { owner, spender: PERMIT2, value, nonce, deadline }
  const typedData = { domain, types: { Permit: PERMIT_TYPES }, primaryType: 'Permit', message }
  return { work, permit: { owner, value, deadline, typedData } }
}

/**
 * The payer's signatures: of the approval, if one is needed, and of the order. No gas.
 *
 * @throws {SignerMismatchError} if the signer is not the payer
 * @throws {InvalidInputError} if the payer is a wallet: the token asks none (ERC-1271), so it must be a key
 */
export async function signGaslessStart(
  signer: Signer,
  { work, permit }: GaslessStart<PreparedPermit>,
): Promise<{ readonly signed: SignedOrder; readonly permit: SignedPermit | null }> {
  if (permit === null) return { signed: await signWorkOrder(signer, work), permit }
  const { owner, value, deadline, typedData } = permit
  const found = parseAddress(await signer.getAddress(), 'signer')
  if (found !== owner) throw new SignerMismatchError({ field: 'order.payer', expected: owner, found })
  const { domain, types, message } = typedData
  const digest = asHex(TypedDataEncoder.hash(domain, types, message))
  const signature = keySignature(await signer.signTypedData(domain, types, message), { digest, account: owner })
  if (signature === undefined) {
    const expected = `a key, whose signature the token takes, for ${owner}`
    throw new InvalidInputError({ field: 'order.payer', expected, value: 'a signature of something else' })
  }
  return { signed: await signWorkOrder(signer, work), permit: { owner, value, deadline, signature } }
}

/**
 * Approves Permit2 and opens the order, in one transaction that anybody sends. If somebody sent the approval before, the
 * order opens all the same. Simulated first, so an order that cannot open costs nothing.
 *
 * @throws {InvalidInputError} {@link ChainUnavailableError}
 */
export async function openGasless(
  signer: Signer,
  options: {
    readonly escrow: EscrowInfo
    readonly terms: Terms
    readonly signed: SignedOrder
    readonly permit: SignedPermit | null
  },
): Promise<Opening> {
  const { escrow, permit } = options
  if (permit === null) return openOrder(signer, options)
  const terms = checkTerms(options.terms)
  const signed = checkSignedOrder(options.signed, 'signed')
  const { v, r, s } = Signature.from(readKeySignature(permit.signature, 'permit.signature'))
  const approval = escrowInterface.encodeFunctionData('tryPermit', [
    parseAddress(permit.owner, 'permit.owner'),
    checkUint(permit.value, { field: 'permit.value', bits: 256 }),
    checkUint(permit.deadline, { field: 'permit.deadline', bits: 256 }),
    v,
    r,
    s,
  ])
  const opening = escrowInterface.encodeFunctionData('open', [terms, signed])
  return sendOpening(signer, {
    escrow,
    orderId: orderIdOf(escrow, { terms, order: signed.order }),
    data: escrowInterface.encodeFunctionData('multicall', [[approval, opening]]),
    wouldOpen: (returned) => {
      const results = escrowInterface.decodeFunctionResult('multicall', returned)[0] as readonly string[]
      return Boolean(escrowInterface.decodeFunctionResult('open', results[1] ?? '0x')[0])
    },
  })
}

/** The token's own domain: what is signed under another one, nobody takes. It is checked against the separator. */
async function permitDomain(provider: Provider, escrow: EscrowInfo): Promise<TypedDomain> {
  const { token, chainId } = escrow
  const unsupported = (cause?: unknown) => new PermitUnsupportedError({ token, cause })
  try {
    const separator = await askChain('read the domain of a token', () =>
      IERC20Permit__factory.connect(token, provider).DOMAIN_SEPARATOR(),
    )
    const name = await askChain('name a token', () => IERC20Metadata__factory.connect(token, provider).name())
    for (const [candidate, version] of await domainNames(provider, { token, name })) {
      const domain = { name: candidate, version, chainId, verifyingContract: token }
      if (TypedDataEncoder.hashDomain(domain) === separator) return domain
    }
  } catch (cause) {
    if (!isContractFault(cause)) throw cause
    throw unsupported(cause)
  }
  throw unsupported()
}

/** Names and versions that the token may have in its domain: what it says itself (ERC-5267, `version`), then the usual. */
async function domainNames(
  provider: Provider,
  { token, name }: { readonly token: Address; readonly name: string },
): Promise<readonly (readonly [string, string])[]> {
  const ask = async (method: 'eip712Domain' | 'version'): Promise<readonly unknown[]> => {
    try {
      const data = await askChain('read the domain of a token', () =>
        provider.call({ to: token, data: domainInterface.encodeFunctionData(method) }),
      )
      return domainInterface.decodeFunctionResult(method, data)
    } catch (error) {
      if (isContractFault(error)) return []
      throw error
    }
  }
  const [, ownName, ownVersion] = await ask('eip712Domain')
  const [version] = await ask('version')
  return [
    [String(ownName), String(ownVersion)],
    [name, String(version)],
    [name, '1'],
    [name, '2'],
  ]
}
