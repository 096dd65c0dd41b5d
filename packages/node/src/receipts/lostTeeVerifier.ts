import { type Address, type Hex, type Settlement, type SignedReceipt, receiptLeaf } from '@opg/protocol'
import { concat, toBeHex } from 'ethers'
import { isSettledOnce } from '../store/reservedSlice.js'
import type { AcceptedVerifier, OrderProof } from './acceptedVerifier.js'
import { teeKeysOf } from './teeVerifier.js'

/** Form 1 of `TeeReceiptVerifier`: of each order the last receipt, which the enclave signed while it lived. */
const FORM_LAST_RECEIPT = '0x01'

/**
 * `TeeReceiptVerifier` without the enclave's key: enclave keys die with the enclave (F7). Nothing new is admitted; what
 * was answered is settled by the receipts that are stored (N4). This form cannot close an order, so it settles neither
 * slices nor orders for one request.
 */
export function acceptLostTee(input: {
  readonly address: Address
  readonly codeHash: Hex
  readonly teeId: Hex
  readonly node: Address
  readonly ownsTee: boolean
}): AcceptedVerifier {
  const { address, codeHash, teeId } = input
  return {
    address,
    codeHash,
    evidenceKeys: teeKeysOf(input),
    signer: undefined,
    takesVouchers: false,
    isRemote: false,
    provable: (planned, proof) => provableOf(teeId, { planned, proof }),
    prove: ({ proofs }) => {
      const receipts = proofs.flatMap(({ lastReceipt }) => lastReceipt ?? [])
      return Promise.resolve(concat([FORM_LAST_RECEIPT, teeId, ...receipts.map(encodeReceipt)]) as Hex)
    },
  }
}

function provableOf(
  teeId: Hex,
  { planned, proof }: { readonly planned: Settlement; readonly proof: OrderProof },
): Settlement | undefined {
  const { order, lastReceipt } = proof
  const { signer } = lastReceipt ?? {}
  if (lastReceipt === undefined || signer?.kind !== 'rsa-pss' || signer.teeId !== teeId) return undefined
  if (isSettledOnce(order) || planned.cumulativeFee <= order.released) return undefined
  // The escrow is shown one receipt, so the root is of the tree that has no other.
  return { ...planned, receiptsRoot: receiptLeaf(lastReceipt.receipt), close: false }
}

/** `abi.encodePacked(uint64 seq, bytes32 requestId, bytes32 responseHash, uint96 fee, uint40 timestamp, signature)`. */
function encodeReceipt({ receipt, signature }: SignedReceipt): string {
  const { seq, requestId, responseHash, fee, timestamp } = receipt
  return concat([toBeHex(seq, 8), requestId, responseHash, toBeHex(fee, 12), toBeHex(timestamp, 5), signature])
}
