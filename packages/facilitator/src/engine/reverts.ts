import { InferenceEscrow__factory, UptoAdapter__factory, permit2Abi } from '@opg/bindings'
import type { Hex } from '@opg/protocol'
import { Interface } from 'ethers'

/** The contracts whose errors come through; the token's are OpenZeppelin's, and the last are the upto proxy's. */
const INTERFACES = [
  InferenceEscrow__factory.createInterface(),
  new Interface(permit2Abi),
  UptoAdapter__factory.createInterface(),
  new Interface([
    'error ERC20InsufficientBalance(address sender, uint256 balance, uint256 needed)',
    'error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed)',
    'error InvalidDestination()',
    'error InvalidOwner()',
    'error PaymentTooEarly()',
    'error UnauthorizedFacilitator()',
  ]),
]

/**
 * Why a contract refused, in one word: the name of its error (`InvalidNonce`, `OrderExpired`), the text of a `require`
 * (`TRANSFER_FROM_FAILED`), the selector of an error that is unknown here, or `Reverted`.
 */
export function revertReason(data: Hex): string {
  for (const contract of INTERFACES) {
    try {
      const parsed = contract.parseError(data)
      if (parsed !== null) return parsed.name === 'Error' ? String(parsed.args[0]).slice(0, 100) : parsed.name
    } catch {
      // The four bytes of an error that is known, and arguments that are not its.
    }
  }
  return data.length >= 10 ? data.slice(0, 10) : 'Reverted'
}
