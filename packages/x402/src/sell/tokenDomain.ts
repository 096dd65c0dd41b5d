import { Contract, isError, type Provider } from 'ethers'

/** x402's extension by which a facilitator pays for a payer's first approval of Permit2. */
export const EIP2612_EXTENSION = 'eip2612GasSponsoring'

const ERC5267 = [
  'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
]

/** Name and version of a token's EIP-712 domain, or nothing where it does not tell them. */
export async function tokenDomain(
  provider: Provider,
  token: string,
): Promise<{ readonly name: string; readonly version: string } | undefined> {
  try {
    const domain: unknown = await new Contract(token, ERC5267, provider).getFunction('eip712Domain')()
    const [, name, version] = domain as readonly unknown[]
    return { name: String(name), version: String(version) }
  } catch (error) {
    if (isError(error, 'CALL_EXCEPTION') || isError(error, 'BAD_DATA')) return undefined
    throw error
  }
}

/** What a route says so that clients whose wallet did not approve Permit2 yet may sign that too. */
export const SPONSORED_APPROVAL = {
  [EIP2612_EXTENSION]: {
    info: { description: 'A payer may approve Permit2 by signature; the facilitator sends it.', version: '1' },
    schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', type: 'object' },
  },
}
