import { Signature, type Signer } from 'ethers'
import {
  type Address,
  type Hex,
  InvalidInputError,
  type SignedVoucher,
  type Voucher,
  domainSeparator,
  recoverSigner,
  structDigest,
  typedData,
} from '@opg/protocol'
import { asHex } from './chain.js'
import type { EscrowInfo } from './escrowInfo.js'

/**
 * The requester's consent to a total, without which `VoucherReceiptVerifier` releases nothing. It is for one order or
 * slice and its node, has no date, and allows all totals up to its own: the newest replaces the others.
 *
 * @throws {InvalidInputError} if the requester is a wallet: the verifier asks none (ERC-1271), so it must be a key
 */
export async function signVoucher(
  signer: Signer,
  options: { readonly escrow: EscrowInfo; readonly requester: Address; readonly voucher: Voucher },
): Promise<SignedVoucher> {
  const { escrow, requester, voucher } = options
  const data = typedData(escrow, { name: 'Voucher', value: voucher })
  const signature = plainSignature(await signer.signTypedData(data.domain, data.types, data.message))
  const digest = structDigest(domainSeparator(escrow), { name: 'Voucher', value: voucher })
  if (signature === undefined || recoverSigner(digest, signature) !== requester) {
    throw new InvalidInputError({
      field: 'requester',
      expected: `a key, which signs vouchers itself, for ${requester}`,
      value: 'a signature of something else',
    })
  }
  return { voucher, signature }
}

/** `r ‖ s ‖ v` with v of 27 or 28, as contracts take it; undefined where it is no signature of a key. */
function plainSignature(signature: string): Hex | undefined {
  try {
    return asHex(Signature.from(signature).serialized)
  } catch {
    return undefined
  }
}
