import type { Signer } from 'ethers'
import { type Hex, MAX_SIGNATURE_BYTES, parseAddress, parseBytes } from '@opg/protocol'
import { SignerMismatchError } from './errors.js'
import type { PreparedAllocation } from './prepareAllocation.js'

/** Reads a signature of a key or a wallet. @throws {InvalidInputError} */
export const readSignature = parseBytes({ min: 64, max: MAX_SIGNATURE_BYTES })

/**
 * The facilitator's signature, with which anybody may reserve the slices (`allocateSlices`). Takes any ethers signer; of
 * a smart wallet the escrow asks the wallet (ERC-1271). It is good once, as long as the order is open.
 *
 * @throws {SignerMismatchError} if the signer is not the order's facilitator
 * @throws {InvalidInputError} if what comes back cannot be a signature
 */
export async function signAllocation(signer: Signer, prepared: PreparedAllocation): Promise<Hex> {
  const { terms, typedData } = prepared
  const found = parseAddress(await signer.getAddress(), 'signer')
  const expected = terms.facilitator
  if (found !== expected) throw new SignerMismatchError({ field: 'terms.facilitator', expected, found })
  return readSignature(await signer.signTypedData(typedData.domain, typedData.types, typedData.message), 'signature')
}
