// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {RsaPss} from "../crypto/RsaPss.sol";
import {IGatewayReceiptVerifier} from "../interfaces/IGatewayReceiptVerifier.sol";
import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {ITEERegistry} from "../interfaces/ITEERegistry.sol";
import {ReceiptHash} from "../libraries/ReceiptHash.sol";
import {Row} from "../types/Settlement.sol";
import {TeeKeys} from "./TeeKeys.sol";

/// @title GatewayReceiptVerifier
/// @notice See `IGatewayReceiptVerifier`.
contract GatewayReceiptVerifier is IGatewayReceiptVerifier, TeeKeys {
    /// @dev outputHash (32) and timestamp (5), in front of a receipt's signature.
    uint256 private constant RECEIPT_HEAD = 37;
    /// @dev Seconds by which the clocks of gateway and chain may differ.
    uint256 private constant CLOCK_TOLERANCE = 60;
    /// @dev What a row's `released` is, once its order is closed. No open order can have it and hold anything more.
    uint96 private constant CLOSED = type(uint96).max;

    constructor(ITEERegistry registry) TeeKeys(registry) {}

    /// @inheritdoc IReceiptVerifier
    function verify(
        address, // the order names it; a receipt does not
        bytes32 evidenceKey,
        bytes32, // nobody signed the batch: each row is checked to be the only one that its receipt allows
        Row[] calldata rows,
        bytes calldata evidence
    ) external view returns (bytes4) {
        bytes32 teeId = evidenceKey;
        _requireEnabled(teeId);
        bytes memory modulus = _modulusOf(teeId);
        uint256 size = RECEIPT_HEAD + modulus.length;
        uint256 expected = rows.length * size;
        require(evidence.length == expected, EvidenceLengthWrong(expected, evidence.length));

        for (uint256 i = 0; i < rows.length; ++i) {
            // Receipts are public, so a bystander can settle one order of a batch in front of it. The escrow passes over
            // a closed order, and nothing ever opens it again: the others must not suffer (E8).
            if (rows[i].released == CLOSED) continue;
            bytes calldata receipt = evidence[i * size:(i + 1) * size];
            bytes32 digest = _receiptDigest(rows[i], receipt);
            require(RsaPss.verifyDigest(modulus, digest, receipt[RECEIPT_HEAD:]), TeeSignatureInvalid(teeId, digest));
        }
        return IReceiptVerifier.verify.selector;
    }

    /// @dev What the gateway signed, once the row says what the receipt allows, all of it and nothing else.
    function _receiptDigest(Row calldata row, bytes calldata receipt) private view returns (bytes32 digest) {
        bytes32 orderId = row.orderId;
        require(row.requestHash != 0, RequestNotPinned(orderId));
        require(row.released == 0, ReleasedBefore(orderId, row.released));
        require(row.cumulativeFee == row.amount, FeeNotFixed(orderId, row.amount, row.cumulativeFee));
        require(row.close, RowNotClosing(orderId));
        require(row.receiptCount == 1, ReceiptCountWrong(orderId, 1, row.receiptCount));

        uint40 timestamp = uint40(bytes5(receipt[32:RECEIPT_HEAD]));
        require(
            row.openedAt <= timestamp + CLOCK_TOLERANCE && timestamp <= block.timestamp + CLOCK_TOLERANCE,
            TimestampOutOfRange(orderId, row.openedAt, block.timestamp, timestamp)
        );

        digest = keccak256(abi.encode(row.requestHash, bytes32(receipt[0:32]), uint256(timestamp)));
        bytes32 leaf = ReceiptHash.leaf(digest);
        require(row.receiptsRoot == leaf, ReceiptsRootWrong(orderId, leaf, row.receiptsRoot));
    }
}
