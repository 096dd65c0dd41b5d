import { SignerMismatchError } from '@opg/payer'
import {
  ZERO_ADDRESS,
  parseAddress,
  recoverSigner,
  structDigest,
  typedData,
  type Address,
  type Hex,
  type StructName,
  type StructValues,
} from '@opg/protocol'
import { Signature, type TypedDataField } from 'ethers'
import type { Offered } from './offered.js'

/** The node's key, as a wallet of ethers is one: in this process or behind a service that keeps it. */
export interface NodeSigner {
  getAddress(): Promise<string>
  /** EIP-712. */
  signTypedData(
    domain: { name: string; version: string; chainId: bigint; verifyingContract: string },
    types: Record<string, TypedDataField[]>,
    value: Record<string, unknown>,
  ): Promise<string>
}

/** Signs what a seller signs, in the escrow's domain. */
export type SignStruct = <Name extends StructName>(name: Name, value: StructValues[Name]) => Promise<Hex>

/**
 * Signs with the node's key: 65 bytes each.
 *
 * @throws {SignerMismatchError} of each signature that is not the node's
 */
export function signWith(
  signer: NodeSigner,
  { chainId, escrow, separator, offer }: Pick<Offered, 'chainId' | 'escrow' | 'separator' | 'offer'>,
): SignStruct {
  return async (name, value) => {
    const { domain, types, message } = typedData({ chainId, escrow }, { name, value })
    const { name: domainName, version = '', verifyingContract } = domain
    const signed = await signer.signTypedData({ name: domainName, version, chainId, verifyingContract }, types, message)
    const signature = serialized(signed)
    const found = recoverSigner(structDigest(separator, { name, value }), signature)
    if (found !== offer.terms.node) {
      throw new SignerMismatchError({ field: 'signer', expected: offer.terms.node, found: found ?? ZERO_ADDRESS })
    }
    return signature
  }
}

/** The account of a signer, with its checksum. */
export async function addressOf(signer: NodeSigner): Promise<Address> {
  return parseAddress(await signer.getAddress(), 'signer')
}

function serialized(signature: string): Hex {
  return Signature.from(signature).serialized as Hex
}
