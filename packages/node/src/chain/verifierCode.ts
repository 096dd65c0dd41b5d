import { type ContractName, TeeReceiptVerifier__factory, ITEERegistry__factory, isCodeOf } from '@opg/bindings'
import type { Address, Hex } from '@opg/protocol'
import { type JsonRpcProvider, keccak256 } from 'ethers'
import { ChainUnavailableError, WrongChainError } from '../errors.js'

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
 * Whether the registry's owner of an enclave is the node: then orders may name the node instead of the teeId (F8).
 *
 * @throws {WrongChainError} if the registry does not enable the enclave: its evidence would be refused
 * @throws {ChainUnavailableError}
 */
export async function ownsEnabledTee(
  provider: JsonRpcProvider,
  { verifier, teeId, node }: { readonly verifier: Address; readonly teeId: Hex; readonly node: Address },
): Promise<boolean> {
  return asked('the TEE registry', async () => {
    const registry = ITEERegistry__factory.connect(
      await TeeReceiptVerifier__factory.connect(verifier, provider).REGISTRY(),
      provider,
    )
    if (!(await registry.isTEEEnabled(teeId))) {
      throw new WrongChainError(`Enclave ${teeId}`, { expected: 'enabled in the TEE registry', found: 'not enabled' })
    }
    return (await registry.tees(teeId)).owner === node
  })
}

async function asked<T>(operation: string, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask()
  } catch (error) {
    if (error instanceof WrongChainError) throw error
    throw new ChainUnavailableError(operation, { cause: error })
  }
}
