import type { Hex, SignedVoucher } from '@opg/protocol'
import { concat, toBeHex } from 'ethers'
import type { AcceptedVerifier, VerifierInput } from './acceptedVerifier.js'
import { nodeKeysOf, requireEcdsa } from './keyVerifier.js'

const VOUCHER_BYTES = 77

/**
 * `VoucherReceiptVerifier`: the node's signature over the batch, and of each order the requester's voucher for at least
 * what is settled. Orders may name the signer's address, or zero where the node's own key signs.
 *
 * @throws {KeyUnusableError} if the signer is no ECDSA key
 */
export function acceptVoucherVerifier({ address, codeHash, signer, node }: VerifierInput): AcceptedVerifier {
  requireEcdsa(signer, 'VoucherReceiptVerifier')
  return {
    address,
    codeHash,
    evidenceKeys: nodeKeysOf(signer, node),
    signer,
    takesVouchers: true,
    isRemote: false,
    provable: (planned, { order }) => {
      // No fee needs no consent: an order or a slice that nobody used is given back.
      const allowed = order.voucher?.voucher.maxCumulativeFee ?? 0n
      return planned.cumulativeFee <= allowed ? planned : undefined
    },
    prove: ({ digest, proofs }) => {
      const vouchers = proofs.map(({ order }) => encodeVoucher(order.voucher))
      return Promise.resolve(concat([signer.signDigest(digest), ...vouchers]) as Hex)
    },
  }
}

/** `abi.encodePacked(uint96 maxCumulativeFee, bytes signature)`; where there is none, as many bytes that nobody reads. */
function encodeVoucher(signed: SignedVoucher | undefined): string {
  if (signed === undefined) return toBeHex(0, VOUCHER_BYTES)
  return concat([toBeHex(signed.voucher.maxCumulativeFee, 12), signed.signature])
}
