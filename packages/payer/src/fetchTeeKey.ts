import { ITEERegistry__factory } from '@opg/bindings'
import { type Provider, keccak256 } from 'ethers'
import { type Address, type Hex, parseAddress, parseBytes32 } from '@opg/protocol'
import { askChain, asHex, isContractFault } from './chain.js'
import { TeeKeyError } from './errors.js'

/** An enclave's key, as the registry has it at this moment. */
export interface TeeKey {
  readonly teeId: Hex
  /** SPKI DER. */
  readonly publicKey: Hex
  /** Who registered the enclave. The registry's payment address proves nothing (F8). */
  readonly owner: Address
}

/**
 * Reads an enclave's key from the registry and checks that it is the one that `teeId` commits to, and that the enclave
 * is enabled.
 *
 * @throws {TeeKeyError} {@link InvalidInputError} {@link ChainUnavailableError}
 */
export async function fetchTeeKey(
  provider: Provider,
  options: { readonly registry: Address; readonly teeId: Hex },
): Promise<TeeKey> {
  const teeId = parseBytes32(options.teeId, 'teeId')
  const registry = ITEERegistry__factory.connect(parseAddress(options.registry, 'registry'), provider)
  try {
    const [isEnabled, der, { owner }] = await askChain('read a TEE key', () =>
      Promise.all([registry.isTEEEnabled(teeId), registry.getTEEPublicKey(teeId), registry.tees(teeId)]),
    )
    if (!isEnabled) throw new TeeKeyError({ teeId, expected: 'an enclave that is enabled', found: 'a disabled one' })
    const found = keccak256(der)
    if (found !== teeId) {
      throw new TeeKeyError({
        teeId,
        expected: 'the key whose keccak256 is the teeId',
        found: `one that hashes to ${found}`,
      })
    }
    return { teeId, publicKey: asHex(der), owner: parseAddress(owner, 'owner') }
  } catch (cause) {
    if (!isContractFault(cause)) throw cause
    throw new TeeKeyError({ teeId, expected: 'a registered enclave', found: 'no answer from the registry', cause })
  }
}
