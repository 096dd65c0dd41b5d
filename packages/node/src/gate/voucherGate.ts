import {
  type Hex,
  type SignedVoucher,
  VOUCHER_HEADER,
  decodeVoucherHeader,
  parseSignedVoucher,
  recoverSigner,
  structDigest,
} from '@opg/protocol'
import type { Refusal } from '../service/types.js'
import type { StoredOrder } from '../store/types.js'
import type { GatePolicy } from './policy.js'
import { refuse } from './refusal.js'

/**
 * Reads and checks the voucher that came with a request. What it must allow is for the books to say, when they reserve.
 *
 * Only ECDSA of the requester's own key counts, whatever code its account has: the verifier asks no code either, so a
 * voucher that is good here is good there.
 *
 * @throws {InvalidInputError} if it is malformed
 */
export function checkVoucher(
  policy: GatePolicy,
  input: { readonly signedVoucher: unknown; readonly order: StoredOrder; readonly separator: Hex },
): SignedVoucher | Refusal {
  const { signedVoucher, order, separator } = input
  if (signedVoucher === undefined) {
    return refuse(
      'voucher-required',
      `Requests of order ${order.orderId} need a voucher of its requester in the header ${VOUCHER_HEADER}.`,
    )
  }
  const signed =
    typeof signedVoucher === 'string'
      ? decodeVoucherHeader(signedVoucher)
      : parseSignedVoucher(signedVoucher, VOUCHER_HEADER)
  const { voucher, signature } = signed
  if (voucher.orderId !== order.orderId || voucher.node !== policy.node) {
    return refuse(
      'voucher-invalid',
      `The voucher is for order ${voucher.orderId} and node ${voucher.node}, and must be for ${order.orderId} and ${policy.node}.`,
    )
  }
  const { requester } = order.order.job
  if (recoverSigner(structDigest(separator, { name: 'Voucher', value: voucher }), signature) === requester)
    return signed
  return refuse(
    'voucher-invalid',
    `The voucher must be signed by the key of requester ${requester}: ECDSA of 65 bytes.`,
  )
}
