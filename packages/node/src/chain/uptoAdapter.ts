import { ChainUnavailableError, WrongChainError } from '@opg/operator'
import { UptoAdapter__factory } from '@opg/bindings'
import type { Address, Hex } from '@opg/protocol'
import { isError, type JsonRpcProvider } from 'ethers'

/**
 * keccak256 of the creation code of an adapter's desks, from which their addresses follow.
 *
 * @throws {WrongChainError} if no adapter of this escrow stands there
 * @throws {ChainUnavailableError}
 */
export async function readDeskCodeHash(
  provider: JsonRpcProvider,
  { adapter, escrow }: { readonly adapter: Address; readonly escrow: Address },
): Promise<Hex> {
  const contract = UptoAdapter__factory.connect(adapter, provider)
  try {
    const [hash, found] = await Promise.all([contract.DESK_INIT_CODE_HASH(), contract.ESCROW()])
    if (found !== escrow) throw new WrongChainError(`The escrow of adapter ${adapter}`, { expected: escrow, found })
    return hash as Hex
  } catch (cause) {
    if (cause instanceof WrongChainError) throw cause
    if (isError(cause, 'BAD_DATA') || isError(cause, 'CALL_EXCEPTION')) {
      throw new WrongChainError(`What stands at ${adapter}`, { expected: 'an UptoAdapter', found: 'something else' })
    }
    throw new ChainUnavailableError('the upto adapter', { cause })
  }
}
