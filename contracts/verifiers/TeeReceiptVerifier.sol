// SPDX-License-Identifier: MIT
pragma solidity 0.8.30;

import {MessageHashUtils} from "@openzeppelin/contracts/utils/cryptography/MessageHashUtils.sol";

import {RsaPss} from "../crypto/RsaPss.sol";
import {IInferenceEscrow} from "../interfaces/IInferenceEscrow.sol";
import {IReceiptVerifier} from "../interfaces/IReceiptVerifier.sol";
import {ITEERegistry} from "../interfaces/ITEERegistry.sol";
import {ITeeReceiptVerifier} from "../interfaces/ITeeReceiptVerifier.sol";
import {ReceiptHash} from "../libraries/ReceiptHash.sol";
import {InferenceReceipt} from "../types/Receipt.sol";
import {Row} from "../types/Settlement.sol";
import {TeeKeys} from "./TeeKeys.sol";

/// @title TeeReceiptVerifier
/// @notice See `ITeeReceiptVerifier`.
contract TeeReceiptVerifier is ITeeReceiptVerifier, TeeKeys {
    /// @dev One signature over the digest.
    uint8 private constant FORM_DIGEST = 0;
    /// @dev Each order's last receipt. Later forms take the next numbers.
    uint8 private constant FORM_LAST_RECEIPT = 1;
    /// @dev Form and teeId.
    uint256 private constant EVIDENCE_HEAD = 33;
    /// @dev seq (8), requestId (32), responseHash (32), fee (12) and timestamp (5), in front of a receipt's signature.
    uint256 private constant RECEIPT_HEAD = 89;

    constructor(ITEERegistry registry) TeeKeys(registry) {}

    /// @inheritdoc IReceiptVerifier
    function verify(
        address node,
        bytes32 evidenceKey,
        bytes32 digest,
        Row[] calldata rows,
        bytes calldata evidence
    ) external view returns (bytes4) {
        require(evidence.length >= EVIDENCE_HEAD, EvidenceTooShort(evidence.length, EVIDENCE_HEAD));
        uint8 form = uint8(evidence[0]);
        require(form <= FORM_LAST_RECEIPT, EvidenceFormUnknown(form));

        bytes32 teeId = bytes32(evidence[1:EVIDENCE_HEAD]);
        _requireEntitled(teeId, evidenceKey, node);
        if (form == FORM_DIGEST) {
            // The digest covers the rows.
            require(_isSignedBy(teeId, digest, evidence[EVIDENCE_HEAD:]), TeeSignatureInvalid(teeId, digest));
        } else {
            _requireLastReceipts(teeId, node, rows, evidence[EVIDENCE_HEAD:]);
        }
        return IReceiptVerifier.verify.selector;
    }

    /// @dev The enclave may speak for orders of `node` that name `evidenceKey`, now.
    function _requireEntitled(bytes32 teeId, bytes32 evidenceKey, address node) private view {
        if (evidenceKey == bytes32(uint256(uint160(node)))) {
            // Takes the first two words of what may be more, and reverts on less or on an address that is not clean.
            (address owner, ) = REGISTRY.tees(teeId);
            // An unknown enclave has owner zero, so zero owns nothing.
            require(owner == node && owner != address(0), TeeNotOwnedByNode(teeId, node, owner));
        } else {
            require(teeId == evidenceKey, TeeNotPinned(evidenceKey, teeId));
        }
        _requireEnabled(teeId);
    }

    /// @dev Each row is proved by the receipt in its place. What a receipt is for is in it, so no digest binds the rows:
    /// whoever holds a receipt can settle up to it, to the node's good.
    function _requireLastReceipts(
        bytes32 teeId,
        address node,
        Row[] calldata rows,
        bytes calldata receipts
    ) private view {
        bytes memory modulus = _modulusOf(teeId);
        uint256 size = RECEIPT_HEAD + modulus.length;
        require(
            receipts.length == rows.length * size,
            EvidenceLengthWrong(EVIDENCE_HEAD + rows.length * size, EVIDENCE_HEAD + receipts.length)
        );
        bytes32 domain = IInferenceEscrow(msg.sender).domainSeparator();
        for (uint256 i = 0; i < rows.length; ++i) {
            bytes calldata receipt = receipts[i * size:(i + 1) * size];
            bytes32 digest = MessageHashUtils.toTypedDataHash(domain, _receiptHash(node, rows[i], receipt));
            require(RsaPss.verifyDigest(modulus, digest, receipt[RECEIPT_HEAD:]), TeeSignatureInvalid(teeId, digest));
        }
    }

    /// @dev Struct hash of the receipt that proves the row, once the row says what the receipt does.
    function _receiptHash(
        address node,
        Row calldata row,
        bytes calldata receipt
    ) private pure returns (bytes32 receiptHash) {
        bytes32 orderId = row.orderId;
        require(!row.close, LastReceiptCannotClose(orderId));
        uint64 seq = uint64(bytes8(receipt[0:8]));
        uint256 count = uint256(seq) + 1; // wider than `seq`, so the last one has no successor that a row could name
        require(row.receiptCount == count, ReceiptCountWrong(orderId, count, row.receiptCount));

        receiptHash = ReceiptHash.receipt(
            InferenceReceipt({
                orderId: orderId,
                node: node,
                seq: seq,
                requestId: bytes32(receipt[8:40]),
                responseHash: bytes32(receipt[40:72]),
                fee: uint96(bytes12(receipt[72:84])),
                cumulativeFee: row.cumulativeFee,
                timestamp: uint40(bytes5(receipt[84:RECEIPT_HEAD]))
            })
        );
        bytes32 leaf = ReceiptHash.leaf(receiptHash);
        require(row.receiptsRoot == leaf, ReceiptsRootWrong(orderId, leaf, row.receiptsRoot));
    }
}
