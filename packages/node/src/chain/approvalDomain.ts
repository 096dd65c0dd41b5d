import { ChainUnavailableError } from '@opg/operator'
import type { Address } from '@opg/protocol'
import { Contract, TypedDataEncoder, isError, type JsonRpcProvider } from 'ethers'

/** Name and version of a token's EIP-712 domain. */
export interface ApprovalDomain {
  readonly name: string
  readonly version: string
}

const TOKEN = [
  'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
  'function DOMAIN_SEPARATOR() view returns (bytes32)',
  'function nonces(address owner) view returns (uint256)',
]

/**
 * By what payers approve by signature (EIP-2612), or undefined where the token has no such approvals, or does not tell
 * its domain (ERC-5267).
 *
 * @throws {ChainUnavailableError}
 */
export async function readApprovalDomain(
  provider: JsonRpcProvider,
  { token, chainId }: { readonly token: Address; readonly chainId: bigint },
): Promise<ApprovalDomain | undefined> {
  const contract = new Contract(token, TOKEN, provider)
  const read = (name: string, ...values: readonly string[]): Promise<unknown> => contract.getFunction(name)(...values)
  try {
    const [domain, separator] = await Promise.all([
      read('eip712Domain'),
      read('DOMAIN_SEPARATOR'),
      read('nonces', token),
    ])
    const [, name, version] = (domain as readonly unknown[]).map(String)
    if (name === undefined || version === undefined) return undefined
    const isIts = TypedDataEncoder.hashDomain({ name, version, chainId, verifyingContract: token }) === separator
    return isIts && name !== '' && version !== '' ? { name, version } : undefined
  } catch (cause) {
    if (isError(cause, 'CALL_EXCEPTION') || isError(cause, 'BAD_DATA')) return undefined
    throw new ChainUnavailableError("the token's domain", { cause })
  }
}
