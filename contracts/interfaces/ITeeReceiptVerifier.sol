// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IReceiptVerifier} from "./IReceiptVerifier.sol";
import {ITeeKeys} from "./ITeeKeys.sol";

/// @title ITeeReceiptVerifier
/// @notice Takes the RSA-PSS signatures of an enclave, registered and enabled at that moment, as evidence.
///
/// `evidenceKey` is one of
/// - a teeId: that enclave and no other;
/// - `bytes32(uint256(uint160(node)))`: any enclave whose owner in the registry is the node. The payment address in the
///   registry counts for nothing: a registrant chooses it freely, and could name a stranger's node (F8). This form costs
///   more, since the registry reads its whole record of the enclave, certificate included, to tell the owner.
///
/// Evidence begins with one byte for its form, and with the enclave:
/// - form 0: `abi.encodePacked(uint8(0), bytes32 teeId, bytes signature)`, one signature over the digest of the batch.
/// - form 1: `abi.encodePacked(uint8(1), bytes32 teeId)`, and then for each row, in their order, the last receipt of the
///   order: `abi.encodePacked(uint64 seq, bytes32 requestId, bytes32 responseHash, uint96 fee, uint40 timestamp,
///   bytes signature)`, signed when the request was answered. An enclave's key dies with it (F7): what it signed before
///   still pays the node. The receipt's `orderId` and `cumulativeFee` are the row's, its `node` the batch's; the row's
///   `receiptsRoot` must be this receipt's leaf, as if it were the only one, and its `receiptCount` must be `seq + 1`.
///   `close` must be false: payers hold old receipts, and one that closes would rob the node. So this form settles
///   neither orders for one request nor slices, which are closed by their one settlement.
///
/// Signatures are RSASSA-PSS with SHA-256, MGF1-SHA-256 and a salt of 32 bytes, as long as the modulus. The 32 bytes of
/// the digest are the message, so they are hashed once more.
///
/// The *type* of an enclave is not checked: the registry gives it only inside a struct that has changed between its
/// versions, or as lists without a bound. A payer who pins a teeId knows the type of what he pins. In the owner form
/// any enclave of the node may sign, whatever its type; what it signs is bound to its order either way.
///
/// Gas on prague, key of 2048 bits cached, teeId pinned: form 0 21,160; form 1 12,670 and 11,180 for each row.
interface ITeeReceiptVerifier is IReceiptVerifier, ITeeKeys {
    /// @notice The evidence is too short to name its form and an enclave.
    error EvidenceTooShort(uint256 length, uint256 minimum);
    /// @notice The first byte of the evidence is no known form.
    error EvidenceFormUnknown(uint8 form);
    /// @notice Form 1: the evidence is not as long as its rows and the enclave's key ask.
    error EvidenceLengthWrong(uint256 expected, uint256 actual);
    /// @notice The enclave is not the one that the orders pin.
    error TeeNotPinned(bytes32 evidenceKey, bytes32 teeId);
    /// @notice The orders take any enclave of their node, and this one is somebody else's.
    error TeeNotOwnedByNode(bytes32 teeId, address node, address owner);
    /// @notice Form 1: the row would close its order.
    error LastReceiptCannotClose(bytes32 orderId);
    /// @notice Form 1: the row does not count the receipts up to the one that proves it.
    error ReceiptCountWrong(bytes32 orderId, uint256 expected, uint64 actual);
    /// @notice Form 1: the row's root is not the leaf of the receipt that proves it.
    error ReceiptsRootWrong(bytes32 orderId, bytes32 expected, bytes32 actual);
}
