import type { Signer } from 'ethers'
import { MAX_SIGNATURE_BYTES, type SignedOrder, parseAddress, parseBytes } from '@opg/protocol'
import type { PreparedOrder } from './createWorkOrder.js'
import { SignerMismatchError } from './errors.js'

const readSignature = parseBytes({ min: 64, max: MAX_SIGNATURE_BYTES })

/**
 * The payer's one signature: the money and the terms. Takes any ethers signer; what a smart wallet gives is passed on as
 * it is, for Permit2 asks the wallet (ERC-1271).
 *
 * @throws {SignerMismatchError} if the signer is not the payer
 * @throws {InvalidInputError} if what comes back cannot be a signature
 */
export async function signWorkOrder(signer: Signer, prepared: PreparedOrder): Promise<SignedOrder> {
  const { order, deadline, typedData } = prepared
  const found = parseAddress(await signer.getAddress(), 'signer')
  if (found !== order.payer) throw new SignerMismatchError({ field: 'order.payer', expected: order.payer, found })
  const signature = await signer.signTypedData(typedData.domain, typedData.types, typedData.message)
  return { order, deadline, signature: readSignature(signature, 'signature') }
}
