import { ChainUnavailableError, WrongChainError } from '@opg/operator'
import {
  type ContractName,
  type ITEERegistry,
  TeeReceiptVerifier__factory,
  ITEERegistry__factory,
  isCodeOf,
} from '@opg/bindings'
import type { Address, Hex } from '@opg/protocol'
import { type JsonRpcProvider, keccak256 } from 'ethers'

/**
 * keccak256 of a verifier's code, where it is the code that this release knows: what the gate then asks for (F2).
 *
 * @throws {WrongChainError} if other code stands there, or none
 * @throws {ChainUnavailableError}
 */
export async function knownCodeHash(
  provider: JsonRpcProvider,
  { contract, address }: { readonly contract: ContractName; readonly address: Address },
): Promise<Hex> {
  const code = await asked('eth_getCode', () => provider.getCode(address))
  if (!isCodeOf(contract, code)) {
    const found = code === '0x' ? 'no code' : `other code (${keccak256(code)})`
    throw new WrongChainError(`What stands at ${address}`, { expected: contract, found })
  }
  return keccak256(code) as Hex
}

/**
 * What the registry says of an enclave now: whether its evidence is taken, and who owns it. Orders may name the owner
 * instead of the teeId (F8).
 *
 * @throws {ChainUnavailableError}
 */
export async function teeStanding(
  provider: JsonRpcProvider,
  { verifier, teeId }: { readonly verifier: Address; readonly teeId: Hex },
): Promise<{ readonly isEnabled: boolean; readonly owner: Address }> {
  return asked('the TEE registry', async () => {
    const registry = await registryOf(verifier, provider)
    const [isEnabled, { owner }] = await Promise.all([registry.isTEEEnabled(teeId), registry.tees(teeId)])
    return { isEnabled, owner: owner as Address }
  })
}

/** The key of an enclave as SPKI DER; undefined where the registry does not enable it. @throws {ChainUnavailableError} */
export async function enabledTeeKey(
  provider: JsonRpcProvider,
  { verifier, teeId }: { readonly verifier: Address; readonly teeId: Hex },
): Promise<Hex | undefined> {
  return asked('the TEE registry', async () => {
    const registry = await registryOf(verifier, provider)
    return (await registry.isTEEEnabled(teeId)) ? ((await registry.getTEEPublicKey(teeId)) as Hex) : undefined
  })
}

/** All verifiers of enclaves' signatures name their registry alike. */
async function registryOf(verifier: Address, provider: JsonRpcProvider): Promise<ITEERegistry> {
  return ITEERegistry__factory.connect(
    await TeeReceiptVerifier__factory.connect(verifier, provider).REGISTRY(),
    provider,
  )
}

async function asked<T>(operation: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    throw new ChainUnavailableError(operation, { cause: error })
  }
}
