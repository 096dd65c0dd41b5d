import type { Signer } from 'ethers'
import {
  type Address,
  InvalidInputError,
  type SignedVoucher,
  type Voucher,
  domainSeparator,
  structDigest,
  typedData,
} from '@opg/protocol'
import type { EscrowInfo } from './escrowInfo.js'
import { keySignature } from './keySignature.js'

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
  const digest = structDigest(domainSeparator(escrow), { name: 'Voucher', value: voucher })
  const signed = await signer.signTypedData(data.domain, data.types, data.message)
  const signature = keySignature(signed, { digest, account: requester })
  if (signature === undefined) {
    throw new InvalidInputError({
      field: 'requester',
      expected: `a key, which signs vouchers itself, for ${requester}`,
      value: 'a signature of something else',
    })
  }
  return { voucher, signature }
}
