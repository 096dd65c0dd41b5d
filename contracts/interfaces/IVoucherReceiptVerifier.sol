// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IReceiptVerifier} from "./IReceiptVerifier.sol";

/// @title IVoucherReceiptVerifier
/// @notice Takes two signatures for each order: the requester's voucher, for a total up to which it agrees to pay, and
/// the node's, once, over the digest of the batch. Neither alone moves anything: without the voucher the node is paid
/// nothing, and without the node's word the requester, or a bystander who saw a voucher, could close the order at less
/// than it owes (F1).
///
/// `evidenceKey` is the node's key: zero for the node's address, otherwise an address with clean high bits.
///
/// Evidence is `abi.encodePacked(bytes nodeSignature)`, and then for each row, in their order,
/// `abi.encodePacked(uint96 maxCumulativeFee, bytes requesterSignature)`: 65 bytes, and 77 for each row. The requester
/// signs `Voucher(bytes32 orderId,address node,uint96 maxCumulativeFee)` under the escrow's domain. A later voucher
/// replaces an earlier one, and any voucher serves for less. A row of no fee needs none, so that a node can give back what
/// nobody used: its 77 bytes are not read.
///
/// Signatures are ECDSA of 65 bytes, of keys: neither an ERC-1271 wallet nor an account's code is asked, so that what
/// the node checked when it took a voucher stays true.
///
/// Only a contract that answers `domainSeparator()`, as the escrow does, can ask.
///
/// Gas on prague: 7,370, and 4,580 for each row.
interface IVoucherReceiptVerifier is IReceiptVerifier {
    /// @notice The evidence is not as long as its rows ask.
    error EvidenceLengthWrong(uint256 expected, uint256 actual);
    /// @notice Nobody, or somebody else, signed the digest of the batch.
    error SignatureInvalid(address signer, bytes32 digest);
    /// @notice The row takes more than the voucher allows.
    error VoucherExceeded(bytes32 orderId, uint96 maxCumulativeFee, uint96 cumulativeFee);
    /// @notice Nobody, or somebody else, signed the voucher.
    error VoucherInvalid(bytes32 orderId, address requester);
}
