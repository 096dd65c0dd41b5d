// SPDX-License-Identifier: MIT
pragma solidity ^0.8.30;

import {IReceiptVerifier} from "./IReceiptVerifier.sol";
import {ITeeKeys} from "./ITeeKeys.sol";

/// @title IGatewayReceiptVerifier
/// @notice Takes what an OpenGradient gateway signs today: that one request had one answer at one time. Only for orders
/// that pin one request at a fixed price.
///
/// `evidenceKey` is the gateway's teeId; the enclave must be enabled at that moment.
///
/// Evidence is, for each row, in their order, `abi.encodePacked(bytes32 outputHash, uint40 timestamp, bytes signature)`.
/// The gateway signed `keccak256(abi.encode(inputHash, outputHash, uint256 timestamp))`: RSASSA-PSS with SHA-256,
/// MGF1-SHA-256 and a salt of 32 bytes, as long as the modulus, over these 32 bytes, which are hashed once more.
///
/// A row must release the whole order to the one receipt: `requestHash = inputHash`, not zero; `released = 0`;
/// `cumulativeFee = amount`; `close`; `receiptCount = 1`; and `receiptsRoot` the tree of one leaf, `keccak256(0x00 ||
/// digest)`, where `digest` is what the gateway signed. `openedAt - 60 <= timestamp <= now + 60` (F4). Rows of orders
/// that were closed meanwhile prove nothing and hold up nothing (E8).
///
/// Such a receipt names no chain, escrow, order, payer, node or amount, and is public: **anyone may settle with it, and
/// it settles every order that pins its request and its gateway, within the time window.** So a request must carry
/// something that no other has: a digest of chain, escrow, payer and nonce. Nodes refuse requests without it.
///
/// Gas on prague, key of 2048 bits cached: 11,840, and 11,260 for each row.
interface IGatewayReceiptVerifier is IReceiptVerifier, ITeeKeys {
    /// @notice The evidence is not as long as its rows and the gateway's key ask.
    error EvidenceLengthWrong(uint256 expected, uint256 actual);
    /// @notice The order does not pin a request.
    error RequestNotPinned(bytes32 orderId);
    /// @notice Something was released of the order, which has one receipt at most.
    error ReleasedBefore(bytes32 orderId, uint96 released);
    /// @notice The row does not take the fixed price: the whole order.
    error FeeNotFixed(bytes32 orderId, uint96 amount, uint96 cumulativeFee);
    /// @notice The row leaves the order open.
    error RowNotClosing(bytes32 orderId);
    /// @notice The row does not count one receipt.
    error ReceiptCountWrong(bytes32 orderId, uint256 expected, uint64 actual);
    /// @notice The row's root is not the leaf of the receipt that proves it.
    error ReceiptsRootWrong(bytes32 orderId, bytes32 expected, bytes32 actual);
    /// @notice The receipt is older than the order, or from the future, by more than 60 seconds (F4).
    error TimestampOutOfRange(bytes32 orderId, uint256 openedAt, uint256 present, uint40 timestamp);
}
