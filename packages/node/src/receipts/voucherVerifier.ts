import type { Hex } from '@opg/protocol'
import { concat, toBeHex } from 'ethers'
import type { AcceptedVerifier, VerifierInput } from './acceptedVerifier.js'
import { nodeKeysOf, requireEcdsa } from './keyVerifier.js'

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
    provable: (planned, { order }) => {
      const allowed = order.voucher?.voucher.maxCumulativeFee
      return allowed !== undefined && planned.cumulativeFee <= allowed ? planned : undefined
    },
    prove: ({ digest, proofs }) => {
      const vouchers = proofs.flatMap(({ order }) => order.voucher ?? [])
      const packed = vouchers.flatMap(({ voucher, signature }) => [toBeHex(voucher.maxCumulativeFee, 12), signature])
      return Promise.resolve(concat([signer.signDigest(digest), ...packed]) as Hex)
    },
  }
}
